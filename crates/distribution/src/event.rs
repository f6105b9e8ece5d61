//! What happens while an image travels, as it happens: typed here, Docker's JSON lines at the edge.

use gantry_names::Digest;
use serde_json::{Value, json};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A sentence about the whole, or, with an id, about the tag.
    Status {
        /// The tag in "Pulling from".
        id: Option<String>,
        /// The sentence.
        text: String,
    },
    /// A step of one layer.
    Layer {
        /// The layer, shortened to twelve digits.
        id: String,
        /// The step.
        step: Step,
    },
    /// What was pushed, for programs.
    Pushed {
        /// The tag.
        tag: String,
        /// The manifest.
        digest: Digest,
        /// The manifest's size.
        size: u64,
    },
}

/// A step in a layer's travel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It will be fetched.
    PullingFsLayer,
    /// Others are before it.
    Waiting,
    /// Bytes arrive.
    Downloading {
        /// So many.
        current: u64,
        /// Of so many.
        total: u64,
    },
    /// The next attempt comes in so many seconds.
    Retrying(u64),
    /// All bytes are here.
    VerifyingChecksum,
    /// They are right.
    DownloadComplete,
    /// It is unpacked.
    Extracting {
        /// So many bytes.
        current: u64,
        /// Of so many.
        total: u64,
    },
    /// It is a layer.
    PullComplete,
    /// It was one before.
    AlreadyExists,
    /// It will be pushed.
    Preparing,
    /// Bytes leave.
    Pushing {
        /// So many.
        current: u64,
        /// Of so many.
        total: u64,
    },
    /// They have left.
    Pushed,
    /// The registry has it.
    LayerAlreadyExists,
    /// The registry has it under another name.
    MountedFrom(String),
}

impl Event {
    /// A sentence about the whole.
    pub fn status(text: impl Into<String>) -> Self {
        Self::Status { id: None, text: text.into() }
    }

    /// A step of a layer.
    pub fn layer(digest: &Digest, step: Step) -> Self {
        Self::Layer { id: digest.short().to_owned(), step }
    }

    /// The line of Docker's stream, without its end.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Status { id: None, text } => json!({"status": text}),
            Self::Status { id: Some(id), text } => json!({"status": text, "id": id}),
            Self::Pushed { tag, digest, size } => {
                json!({"progressDetail": {}, "aux": {"Tag": tag, "Digest": digest, "Size": size}})
            }
            Self::Layer { id, step } => match step.counted() {
                Some((current, total)) => json!({
                    "status": step.text(),
                    "progressDetail": {"current": current, "total": total},
                    "progress": bar(current, total),
                    "id": id,
                }),
                None => json!({"status": step.text(), "progressDetail": {}, "id": id}),
            },
        }
    }
}

impl Step {
    /// Docker's words.
    pub fn text(&self) -> String {
        match self {
            Self::PullingFsLayer => "Pulling fs layer".to_owned(),
            Self::Waiting => "Waiting".to_owned(),
            Self::Downloading { .. } => "Downloading".to_owned(),
            Self::Retrying(1) => "Retrying in 1 second".to_owned(),
            Self::Retrying(seconds) => format!("Retrying in {seconds} seconds"),
            Self::VerifyingChecksum => "Verifying Checksum".to_owned(),
            Self::DownloadComplete => "Download complete".to_owned(),
            Self::Extracting { .. } => "Extracting".to_owned(),
            Self::PullComplete => "Pull complete".to_owned(),
            Self::AlreadyExists => "Already exists".to_owned(),
            Self::Preparing => "Preparing".to_owned(),
            Self::Pushing { .. } => "Pushing".to_owned(),
            Self::Pushed => "Pushed".to_owned(),
            Self::LayerAlreadyExists => "Layer already exists".to_owned(),
            Self::MountedFrom(name) => format!("Mounted from {name}"),
        }
    }

    /// How much is done of how much, where that is counted.
    pub fn counted(&self) -> Option<(u64, u64)> {
        match self {
            Self::Downloading { current, total }
            | Self::Extracting { current, total }
            | Self::Pushing { current, total } => Some((*current, *total)),
            _ => None,
        }
    }
}

/// The bar old clients print as it comes: `[=====>      ]  1.2MB/3.4MB`.
fn bar(current: u64, total: u64) -> String {
    const WIDTH: usize = 50;
    if total == 0 {
        return format!("{:>8}", human(current));
    }
    let done = ((current.min(total) as f64 / total as f64) * WIDTH as f64) as usize;
    let arrow = if done < WIDTH { ">" } else { "" };
    let space = WIDTH - done - arrow.len();
    format!("[{}{arrow}{}] {:>8}/{}", "=".repeat(done), " ".repeat(space), human(current), human(total))
}

/// Bytes with four significant digits and a unit of ten's power, as Docker prints them.
fn human(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut unit = "B";
    for next in ["kB", "MB", "GB", "TB", "PB"] {
        if value < 1000.0 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    let whole = if value >= 1.0 { value.log10().floor() as usize + 1 } else { 1 };
    let text = format!("{value:.*}", 4usize.saturating_sub(whole));
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_are_dockers() {
        let digest = Digest::sha256_of(b"");
        let line = |step| Event::layer(&digest, step).to_json().to_string();
        assert_eq!(
            line(Step::PullComplete),
            r#"{"status":"Pull complete","progressDetail":{},"id":"e3b0c44298fc"}"#
        );
        assert_eq!(
            line(Step::Downloading { current: 1_500_000, total: 3_000_000 }),
            format!(
                r#"{{"status":"Downloading","progressDetail":{{"current":1500000,"total":3000000}},"progress":"[{}>{}]    1.5MB/3MB","id":"e3b0c44298fc"}}"#,
                "=".repeat(25),
                " ".repeat(24)
            )
        );
    }

    #[test]
    fn sizes_have_four_digits_at_most() {
        for (bytes, text) in
            [(0, "0B"), (999, "999B"), (1234, "1.234kB"), (12_345_678, "12.35MB"), (100_000, "100kB")]
        {
            assert_eq!(human(bytes), text);
        }
    }
}
