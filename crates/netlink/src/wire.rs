//! Netlink messages as bytes: header, attributes, nesting.
//!
//! Encodes `linux/netlink.h`: `struct nlmsghdr { u32 len; u16 type; u16 flags; u32 seq; u32 pid; }`, then a
//! family's fixed header, then attributes `struct nlattr { u16 len; u16 type; }` padded to four bytes. Headers are in
//! the machine's byte order; attribute values are as their family says (nftables and conntrack: big endian).

/// `NLM_F_REQUEST`.
pub const REQUEST: u16 = 0x1;
/// `NLM_F_ACK`.
pub const ACK: u16 = 0x4;
/// `NLM_F_DUMP` (`ROOT | MATCH`).
pub const DUMP: u16 = 0x300;
/// `NLM_F_REPLACE`.
pub const REPLACE: u16 = 0x100;
/// `NLM_F_EXCL`.
pub const EXCL: u16 = 0x200;
/// `NLM_F_CREATE`.
pub const CREATE: u16 = 0x400;
/// `NLM_F_APPEND`.
pub const APPEND: u16 = 0x800;
/// `NLM_F_MULTI` in answers.
pub const MULTI: u16 = 0x2;

/// `NLMSG_ERROR`: an error or, with number 0, an acknowledgement.
pub const ERROR: u16 = 2;
/// `NLMSG_DONE`: the end of a dump.
pub const DONE: u16 = 3;
/// `NLMSG_OVERRUN`.
pub const OVERRUN: u16 = 4;

/// Bytes of `struct nlmsghdr`.
pub const HEADER: usize = 16;
const NESTED: u16 = 0x8000;
const TYPE_MASK: u16 = 0x3fff;

/// A message being written. Attributes are appended in order; nesting is by closure, so it always closes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message(Vec<u8>);

impl Message {
    /// A message with its fixed header; `REQUEST` is always set.
    pub fn new(kind: u16, flags: u16, fixed: &[u8]) -> Message {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(&0u32.to_ne_bytes());
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&(flags | REQUEST).to_ne_bytes());
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(fixed);
        pad(&mut bytes);
        Message(bytes)
    }

    /// Appends an attribute. Values over 64 KiB cannot be expressed and are a caller's defect.
    pub fn put(&mut self, kind: u16, value: &[u8]) -> &mut Message {
        let length = u16::try_from(value.len() + 4).expect("an attribute is under 64 KiB");
        self.0.extend_from_slice(&length.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        pad(&mut self.0);
        self
    }

    /// A byte.
    pub fn put_u8(&mut self, kind: u16, value: u8) -> &mut Message {
        self.put(kind, &[value])
    }

    /// A 16-bit number in the machine's order.
    pub fn put_u16(&mut self, kind: u16, value: u16) -> &mut Message {
        self.put(kind, &value.to_ne_bytes())
    }

    /// A 32-bit number in the machine's order.
    pub fn put_u32(&mut self, kind: u16, value: u32) -> &mut Message {
        self.put(kind, &value.to_ne_bytes())
    }

    /// A 32-bit number, big endian.
    pub fn put_be32(&mut self, kind: u16, value: u32) -> &mut Message {
        self.put(kind, &value.to_be_bytes())
    }

    /// A 64-bit number, big endian.
    pub fn put_be64(&mut self, kind: u16, value: u64) -> &mut Message {
        self.put(kind, &value.to_be_bytes())
    }

    /// A text with its terminating zero.
    pub fn put_str(&mut self, kind: u16, value: &str) -> &mut Message {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.put(kind, &bytes)
    }

    /// An attribute that holds attributes.
    pub fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Message)) -> &mut Message {
        let start = self.0.len();
        self.put(kind | NESTED, &[]);
        fill(self);
        let length = u16::try_from(self.0.len() - start).expect("a nest is under 64 KiB");
        self.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self
    }

    /// Ends a chain of puts where a closure must return nothing.
    pub fn end(&mut self) {}

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Never: a message has a header.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Appends raw bytes inside a nest (a peer's `struct ifinfomsg`).
    pub fn put_raw(&mut self, bytes: &[u8]) -> &mut Message {
        self.0.extend_from_slice(bytes);
        pad(&mut self.0);
        self
    }

    /// The finished bytes with length, sequence number and extra flags filled in.
    pub(crate) fn finish(mut self, sequence: u32, flags: u16) -> Vec<u8> {
        let length = u32::try_from(self.0.len()).expect("a message is under 4 GiB");
        self.0[0..4].copy_from_slice(&length.to_ne_bytes());
        let flags = flags | u16::from_ne_bytes([self.0[6], self.0[7]]);
        self.0[6..8].copy_from_slice(&flags.to_ne_bytes());
        self.0[8..12].copy_from_slice(&sequence.to_ne_bytes());
        self.0
    }
}

fn pad(bytes: &mut Vec<u8>) {
    while !bytes.len().is_multiple_of(4) {
        bytes.push(0);
    }
}

/// A received message: type, flags, sequence, sender's port, and what follows the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// `nlmsg_type`.
    pub kind: u16,
    /// `nlmsg_flags`.
    pub flags: u16,
    /// `nlmsg_seq`.
    pub sequence: u32,
    /// `nlmsg_pid`: the port of whoever asked.
    pub port: u32,
    /// Everything after the header.
    pub body: Vec<u8>,
}

/// Splits a datagram into messages; stops quietly at what is cut short.
pub fn answers(mut bytes: &[u8]) -> Vec<Answer> {
    let mut out = Vec::new();
    while bytes.len() >= HEADER {
        let length = u32_at(bytes, 0).unwrap_or(0) as usize;
        if length < HEADER || length > bytes.len() {
            break;
        }
        out.push(Answer {
            kind: u16_at(bytes, 4).unwrap_or(0),
            flags: u16_at(bytes, 6).unwrap_or(0),
            sequence: u32_at(bytes, 8).unwrap_or(0),
            port: u32_at(bytes, 12).unwrap_or(0),
            body: bytes[HEADER..length].to_vec(),
        });
        bytes = &bytes[length.next_multiple_of(4).min(bytes.len())..];
    }
    out
}

/// The attributes of a byte run, in order; stops quietly at what is cut short.
pub fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let kind = u16_at(bytes, 2)? & TYPE_MASK;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        Some((kind, value))
    })
}

/// The first attribute of a kind.
pub fn attribute(bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(kind, _)| *kind == wanted).map(|(_, value)| value)
}

/// A 16-bit number in the machine's order.
pub fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// A 32-bit number in the machine's order.
pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// A 32-bit big endian number.
pub fn be32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// A text up to its terminating zero.
pub fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nests_close_and_pad() {
        let mut message = Message::new(16, ACK, &[0; 16]);
        message.nest(18, |m| {
            m.put_str(1, "veth").nest(2, |m| m.put_u8(1, 7).end());
        });
        let bytes = message.finish(9, 0);
        assert_eq!(bytes.len() % 4, 0);
        let answer = &answers(&bytes)[0];
        assert_eq!((answer.kind, answer.sequence), (16, 9));
        let info = attribute(&answer.body[16..], 18).unwrap();
        assert_eq!(text(attribute(info, 1).unwrap()), "veth");
        assert_eq!(attribute(attribute(info, 2).unwrap(), 1), Some(&[7u8][..]));
    }

    proptest! {
        #[test]
        fn any_bytes_parse_without_panic(bytes: Vec<u8>) {
            for answer in answers(&bytes) {
                let _ = attributes(&answer.body).count();
            }
            let _ = attributes(&bytes).count();
        }

        #[test]
        fn attributes_come_back_as_written(values in proptest::collection::vec((0u16..0x3fff, proptest::collection::vec(any::<u8>(), 0..40)), 0..8)) {
            let mut message = Message::new(1, 0, &[]);
            for (kind, value) in &values {
                message.put(*kind, value);
            }
            let bytes = message.finish(1, 0);
            let read: Vec<(u16, Vec<u8>)> = attributes(&bytes[HEADER..]).map(|(k, v)| (k, v.to_vec())).collect();
            prop_assert_eq!(read, values);
        }
    }
}
