//! Runs of ports that change their numbers, as the kernel can shift them.
//!
//! For a range `low..=high` the kernel takes a port to `low + port % (high - low + 1)` when it is told to keep the
//! distance and is given no base to keep it from. So a run `first..first + count` arrives at `target` on if the range's
//! size leaves the run in one piece and `low` makes up for what is left of `first`.

/// A run that one element shifts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// First port asked for.
    pub first: u16,
    /// How many.
    pub count: u16,
    /// Range given to the kernel.
    pub low: u16,
    /// Its end, included.
    pub high: u16,
}

/// The pieces of a run: almost always one.
pub fn pieces(first: u16, target: u16, count: u16) -> Vec<Piece> {
    if let Some((low, high)) = range(first, target, count) {
        return vec![Piece { first, count, low, high }];
    }
    // A run so long and so low that no range fits: its halves are easier. One port always fits.
    let half = count / 2;
    let mut all = pieces(first, target, half);
    all.extend(pieces(first + half, target + half, count - half));
    all
}

fn range(first: u16, target: u16, count: u16) -> Option<(u16, u16)> {
    (count..=u16::MAX).find_map(|size| {
        let rest = first % size;
        let low = target.checked_sub(rest).filter(|_| size - rest >= count)?;
        Some((low, low.checked_add(size - 1)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kernel(piece: &Piece, port: u16) -> u16 {
        piece.low + port % (piece.high - piece.low + 1)
    }

    #[test]
    fn ten_thousand_ports_are_one_piece() {
        assert_eq!(pieces(10000, 20000, 10000).len(), 1);
        assert_eq!(pieces(50000, 40000, 10000).len(), 1);
        assert_eq!(pieces(30000, 1000, 10000).len(), 1);
    }

    #[test]
    fn the_last_port_is_a_run_too() {
        assert_eq!(pieces(65535, 65535, 1).len(), 1);
        let last = pieces(65535, 1, 1)[0];
        assert_eq!(kernel(&last, 65535), 1);
    }

    proptest! {
        #[test]
        fn every_port_arrives_where_it_should(first in 1u16.., target in 1u16.., count in 1u16..12000) {
            let count = count.min(u16::MAX - first).min(u16::MAX - target).max(1);
            let pieces = pieces(first, target, count);
            // Port 65535 has none behind it: counted, not added up.
            let mut done = 0;
            for piece in &pieces {
                prop_assert_eq!(piece.first, first + done);
                for nth in 0..piece.count {
                    prop_assert_eq!(kernel(piece, piece.first + nth), target + done + nth);
                }
                done += piece.count;
            }
            prop_assert_eq!(done, count);
            prop_assert!(pieces.len() <= 16, "{:?}", pieces);
        }
    }
}
