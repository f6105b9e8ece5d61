//! From a container's bytes to lines.

use gantry_client::{Frames, StreamKind};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::Printer;
use crate::failed::Failed;

/// Bytes of a line that is printed before it ends: a program that never ends its line is shown in pieces.
const LONGEST: usize = 1 << 20;

/// Lines of one stream.
#[derive(Default)]
struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    fn feed(&mut self, bytes: &[u8], mut line: impl FnMut(&str)) {
        let mut bytes = bytes;
        while let Some(end) = bytes.iter().position(|b| *b == b'\n') {
            self.rest.extend_from_slice(&bytes[..end]);
            self.flush(&mut line);
            bytes = &bytes[end + 1..];
        }
        self.rest.extend_from_slice(bytes);
        if self.rest.len() > LONGEST {
            self.flush(&mut line);
        }
    }

    fn flush(&mut self, line: &mut impl FnMut(&str)) {
        let text = String::from_utf8_lossy(&self.rest);
        line(text.strip_suffix('\r').unwrap_or(&text));
        self.rest.clear();
    }

    fn end(&mut self, mut line: impl FnMut(&str)) {
        if !self.rest.is_empty() {
            self.flush(&mut line);
        }
    }
}

/// Prints a stream to its end. With `merged`, errors go where the output goes.
pub(super) async fn print(
    mut reader: impl AsyncRead + Unpin,
    tty: bool,
    name: &str,
    printer: &Printer,
    merged: bool,
) -> Result<(), Failed> {
    let (mut out, mut err) = (Lines::default(), Lines::default());
    if tty {
        let mut buffer = vec![0; 32 * 1024];
        loop {
            match reader.read(&mut buffer).await {
                Ok(0) => break,
                Ok(n) => out.feed(&buffer[..n], |line| printer.line(name, line, false)),
                // A terminal's far side hangs up when its last process ends.
                Err(cause) if cause.kind() == std::io::ErrorKind::ConnectionReset => break,
                Err(cause) => return Err(gantry_client::ClientError::Io(cause).into()),
            }
        }
    } else {
        let mut frames = Frames::new(reader);
        while let Some(frame) = frames.next().await? {
            match frame.kind {
                StreamKind::Stderr if !merged => {
                    err.feed(&frame.bytes, |line| printer.line(name, line, true));
                }
                _ => out.feed(&frame.bytes, |line| printer.line(name, line, false)),
            }
        }
    }
    out.end(|line| printer.line(name, line, false));
    err.end(|line| printer.line(name, line, true));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_however_they_come() {
        let mut seen = Vec::new();
        let mut lines = Lines::default();
        for piece in ["on", "e\ntwo\r\n\nth", "ree"] {
            lines.feed(piece.as_bytes(), |line| seen.push(line.to_owned()));
        }
        lines.end(|line| seen.push(line.to_owned()));
        assert_eq!(seen, ["one", "two", "", "three"]);
    }
}
