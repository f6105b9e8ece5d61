//! Bytes as they are read to lines as they are logged.

use crate::Stream;

/// A line longer than this is logged in pieces of this length, as Docker does.
pub const LONGEST_PIECE: usize = 16 << 10;

/// A piece of a line on its way into a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece<'a> {
    pub stream: Stream,
    pub at_ns: i64,
    /// Without the newline.
    pub text: &'a [u8],
    /// How it is part of a line that was cut; `None` for a whole line.
    pub cut: Option<Cut>,
}

impl Piece<'_> {
    /// Whether the newline belongs to this piece.
    pub fn ends_a_line(&self) -> bool {
        self.cut.is_none_or(|cut| cut.last)
    }
}

/// The place of a piece in its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    /// From 1.
    pub ordinal: u32,
    pub last: bool,
}

/// The line that one stream is in the middle of.
#[derive(Debug)]
pub(crate) struct Line {
    stream: Stream,
    /// Its bytes that are not logged yet; fewer than [`LONGEST_PIECE`].
    held: Vec<u8>,
    /// The time and number of the pieces already logged.
    pieces: Option<(i64, u32)>,
}

impl Line {
    pub fn new(stream: Stream) -> Line {
        Line { stream, held: Vec::new(), pieces: None }
    }

    /// Takes bytes that were read at `at_ns`, gives the pieces that are complete.
    pub fn push(&mut self, at_ns: i64, mut bytes: &[u8], mut log: impl FnMut(Piece<'_>)) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let rest = self.cut(at_ns, &bytes[..end], &mut log);
            let text = if self.held.is_empty() {
                rest
            } else {
                self.held.extend_from_slice(rest);
                &self.held
            };
            let (at_ns, cut) = match self.pieces.take() {
                None => (at_ns, None),
                Some((at_ns, ordinal)) => (at_ns, Some(Cut { ordinal: ordinal + 1, last: true })),
            };
            log(Piece { stream: self.stream, at_ns, text, cut });
            self.forget();
            bytes = &bytes[end + 1..];
        }
        let rest = self.cut(at_ns, bytes, &mut log);
        self.held.extend_from_slice(rest);
    }

    /// Logs pieces while held and new bytes fill one; returns the new bytes that are left, which with the held ones
    /// are fewer than a piece.
    fn cut<'a>(&mut self, at_ns: i64, mut bytes: &'a [u8], log: &mut impl FnMut(Piece<'_>)) -> &'a [u8] {
        while self.held.len() + bytes.len() >= LONGEST_PIECE {
            let (first, rest) = bytes.split_at(LONGEST_PIECE - self.held.len());
            self.held.extend_from_slice(first);
            self.log_held(at_ns, log);
            bytes = rest;
        }
        bytes
    }

    fn log_held(&mut self, at_ns: i64, log: &mut impl FnMut(Piece<'_>)) {
        let (at_ns, ordinal) = self.pieces.map_or((at_ns, 1), |(at_ns, ordinal)| (at_ns, ordinal + 1));
        self.pieces = Some((at_ns, ordinal));
        let cut = Some(Cut { ordinal, last: false });
        log(Piece { stream: self.stream, at_ns, text: &self.held, cut });
        self.forget();
    }

    /// The stream has ended: what is held is logged as a piece without its end, as Docker does.
    pub fn end(&mut self, at_ns: i64, mut log: impl FnMut(Piece<'_>)) {
        if !self.held.is_empty() {
            self.log_held(at_ns, &mut log);
        }
    }

    fn forget(&mut self) {
        // The memory too: most lines never need it, and a shim is small.
        self.held = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Logged = (i64, Vec<u8>, Option<Cut>);

    fn logged(reads: &[&[u8]]) -> Vec<Logged> {
        let mut line = Line::new(Stream::Stdout);
        let mut out: Vec<Logged> = Vec::new();
        let mut keep = |piece: Piece<'_>| {
            out.push((piece.at_ns, piece.text.to_vec(), piece.cut));
        };
        for (at, read) in (1..).zip(reads) {
            line.push(at, read, &mut keep);
        }
        line.end(99, &mut keep);
        out
    }

    #[test]
    fn lines_across_reads_have_the_time_of_their_end() {
        assert_eq!(
            logged(&[b"a\nb", b"c\n\nd"]),
            [
                (1, b"a".to_vec(), None),
                (2, b"bc".to_vec(), None),
                (2, b"".to_vec(), None),
                (99, b"d".to_vec(), Some(Cut { ordinal: 1, last: false })),
            ]
        );
    }

    #[test]
    fn a_line_of_exactly_one_piece_ends_in_an_empty_last_piece() {
        let long = vec![b'x'; LONGEST_PIECE];
        assert_eq!(
            logged(&[&long, b"\n"]),
            [
                (1, long.clone(), Some(Cut { ordinal: 1, last: false })),
                (1, vec![], Some(Cut { ordinal: 2, last: true })),
            ]
        );
    }

    proptest! {
        #[test]
        fn no_byte_is_lost_and_reads_do_not_matter(
            lines in proptest::collection::vec(0usize..50_000, 1..6),
            step in 1usize..40_000,
        ) {
            let mut bytes = Vec::new();
            for len in lines {
                bytes.extend(std::iter::repeat_n(b'x', len));
                bytes.push(b'\n');
            }
            let whole = logged(&[&bytes]);
            let split = logged(&bytes.chunks(step).collect::<Vec<_>>());
            let strip = |pieces: &[Logged]| pieces.iter().map(|(_, t, c)| (t.clone(), *c)).collect::<Vec<_>>();
            prop_assert_eq!(strip(&whole), strip(&split));
            let mut again = Vec::new();
            for (_, text, cut) in whole {
                prop_assert!(text.len() <= LONGEST_PIECE);
                again.extend(text);
                if cut.is_none_or(|cut| cut.last) {
                    again.push(b'\n');
                }
            }
            prop_assert_eq!(again, bytes);
        }
    }
}
