//! How results are shown: tables, JSON lines, or a template.

mod listing;
mod row;
mod table;

pub use listing::{Format, Listing, template};
pub use row::Fields;
pub use table::{align, aligned};

/// The first 12 characters of an id, without its algorithm.
pub fn short_id(id: &str) -> String {
    let id = id.split_once(':').map_or(id, |(_, hex)| hex);
    id.chars().take(12).collect()
}

/// At most `width` characters, the last of them an ellipsis when something was cut.
pub fn ellipsis(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut out: String = text.chars().take(width.saturating_sub(1)).collect();
    out.push('…');
    out
}
