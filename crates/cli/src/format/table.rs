//! Columns, aligned as Go's `text/tabwriter` does it (minimum width 10, three blanks between).

const MIN_WIDTH: usize = 10;
const PADDING: usize = 3;

/// Aligns lines whose cells end with tabs. A column reaches over neighbouring lines that have it; the last cell of
/// a line belongs to no column.
pub fn align(text: &str) -> String {
    aligned(text, MIN_WIDTH, PADDING)
}

/// The same with other widths.
pub fn aligned(text: &str, min_width: usize, padding: usize) -> String {
    let lines: Vec<Vec<&str>> = text.split('\n').map(|line| line.split('\t').collect()).collect();
    let mut widths: Vec<Vec<usize>> = lines.iter().map(|l| vec![0; l.len()]).collect();
    block(&lines, &mut widths, 0, lines.len(), 0, min_width, padding);
    let mut out = String::with_capacity(text.len() * 2);
    for (at, line) in lines.iter().enumerate() {
        if at > 0 {
            out.push('\n');
        }
        for (column, cell) in line.iter().enumerate() {
            out.push_str(cell);
            if column + 1 < line.len() {
                let missing = widths[at][column].saturating_sub(width(cell));
                out.extend(std::iter::repeat_n(' ', missing));
            }
        }
    }
    out
}

fn block(
    lines: &[Vec<&str>],
    widths: &mut [Vec<usize>],
    from: usize,
    to: usize,
    column: usize,
    min_width: usize,
    padding: usize,
) {
    let mut at = from;
    while at < to {
        if column + 1 >= lines[at].len() {
            at += 1;
            continue;
        }
        let start = at;
        let mut wide = min_width;
        while at < to && column + 1 < lines[at].len() {
            wide = wide.max(width(lines[at][column]) + padding);
            at += 1;
        }
        for line in &mut widths[start..at] {
            line[column] = wide;
        }
        block(lines, widths, start, at, column + 1, min_width, padding);
    }
}

fn width(cell: &str) -> usize {
    cell.chars().count()
}

#[cfg(test)]
mod tests {
    use super::align;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_three_blanks() {
        assert_eq!(align("A\tB\nlonger than ten\tx\n"), "A                 B\nlonger than ten   x\n");
        assert_eq!(align("ID\tN\n1\t2"), "ID        N\n1         2");
        assert_eq!(align("no tabs\n"), "no tabs\n");
    }

    #[test]
    fn a_line_without_the_column_ends_its_block() {
        assert_eq!(align("aaaaaaaaaaaaaa\tx\n\nb\ty"), "aaaaaaaaaaaaaa   x\n\nb         y");
    }
}
