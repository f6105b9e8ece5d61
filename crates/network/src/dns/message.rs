//! DNS messages (RFC 1035), as much as is needed: one question read, simple answers written, the rest passed on as bytes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `A`.
pub const A: u16 = 1;
/// `PTR`.
pub const PTR: u16 = 12;
/// `AAAA`.
pub const AAAA: u16 = 28;
const OPT: u16 = 41;
const CLASS_IN: u16 = 1;
const HEADER: usize = 12;
/// Seconds an answer about a container may be kept: it may be gone the next moment.
const TTL: u32 = 5;
/// What a UDP answer may have when the asker does not say (RFC 1035, 4.2.1).
const PLAIN_UDP: usize = 512;

/// `NOERROR`.
pub const OK: u8 = 0;
/// `SERVFAIL`.
pub const FAILED: u8 = 2;
/// `FORMERR`.
pub const MALFORMED: u8 = 1;
/// `NOTIMP`.
pub const NOT_IMPLEMENTED: u8 = 4;
/// `NXDOMAIN`.
pub const NO_SUCH_NAME: u8 = 3;
/// `REFUSED`.
pub const REFUSED: u8 = 5;
/// `BADVERS` (RFC 6891, 6.1.3): its upper part goes into OPT.
pub const BAD_VERSION: u8 = 16;

/// A question that can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Asker's identifier.
    pub id: u16,
    /// Name in lower case without the last dot.
    pub name: String,
    /// Record type asked for.
    pub kind: u16,
    /// Largest UDP answer the asker takes.
    pub udp_size: usize,
    /// Version of the EDNS it speaks; nobody speaks another than 0 yet.
    pub edns_version: u8,
    flags: u16,
    question: Vec<u8>,
    edns: bool,
}

/// A record of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// `A` or `AAAA`.
    Address(IpAddr),
    /// `PTR`.
    Name(String),
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// Reads a plain name; compression has no place in a question.
fn name(bytes: &[u8], mut at: usize) -> Option<(String, usize)> {
    let mut out = String::new();
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1;
        if length == 0 {
            return Some((out, at));
        }
        let label = bytes.get(at..at + length).filter(|_| length < 64)?;
        if !out.is_empty() {
            out.push('.');
        }
        // Bytes outside ASCII are nobody's name here; they go on to others in the untouched question.
        out.extend(label.iter().map(|byte| char::from(byte.to_ascii_lowercase())));
        if out.len() > 255 {
            return None;
        }
        at += length;
    }
}

impl Query {
    /// Reads a standard query with one question of class IN; anything else is `None`.
    pub fn parse(bytes: &[u8]) -> Option<Query> {
        let flags = u16_at(bytes, 2)?;
        let (is_answer, opcode) = (flags & 0x8000 != 0, flags >> 11 & 0xf);
        if is_answer || opcode != 0 || u16_at(bytes, 4)? != 1 {
            return None;
        }
        let (name, at) = name(bytes, HEADER)?;
        let (kind, class) = (u16_at(bytes, at)?, u16_at(bytes, at + 2)?);
        if class != CLASS_IN {
            return None;
        }
        let question = bytes[HEADER..at + 4].to_vec();
        // A query holds no records but perhaps OPT, whose class is the asker's buffer size (RFC 6891).
        let rest = at + 4;
        let edns =
            u16_at(bytes, 10)? > 0 && bytes.get(rest) == Some(&0) && u16_at(bytes, rest + 1) == Some(OPT);
        let udp_size = match edns {
            true => usize::from(u16_at(bytes, rest + 3)?).max(PLAIN_UDP),
            false => PLAIN_UDP,
        };
        // OPT: name, type, size, upper part of the code, version, flags, length.
        let edns_version = if edns { *bytes.get(rest + 6)? } else { 0 };
        Some(Query { id: u16_at(bytes, 0)?, name, kind, udp_size, edns_version, flags, question, edns })
    }

    /// Writes an answer.
    pub fn answer(&self, code: u8, records: &[Record]) -> Vec<u8> {
        self.write(code, records, false)
    }

    /// Writes an answer that fits a datagram for this asker; one that does not is marked as cut (TC), to be asked over TCP. It
    /// has what fits all the same: not every resolver asks again.
    pub fn answer_datagram(&self, code: u8, records: &[Record]) -> Vec<u8> {
        let whole = self.write(code, records, false);
        let each = whole.len() - self.write(code, &[], false).len();
        match records.len() {
            count if count > 0 && whole.len() > self.udp_size => {
                // All records of an answer are of one length.
                let room = self.udp_size - (whole.len() - each).min(self.udp_size);
                self.write(code, &records[..room * count / each], true)
            }
            _ => whole,
        }
    }

    fn write(&self, code: u8, records: &[Record], cut: bool) -> Vec<u8> {
        const ANSWER: u16 = 0x8000;
        const CUT: u16 = 0x0200;
        const WANTED: u16 = 0x0100;
        const AVAILABLE: u16 = 0x0080;
        let (upper, code) = (code >> 4, u16::from(code & 0xf));
        let flags = ANSWER | self.flags & WANTED | AVAILABLE | code | if cut { CUT } else { 0 };
        let mut out = Vec::with_capacity(512);
        let counts = [1, records.len() as u16, 0, u16::from(self.edns)];
        for number in [self.id, flags].into_iter().chain(counts) {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out.extend_from_slice(&self.question);
        for record in records {
            let (kind, data) = match record {
                Record::Address(IpAddr::V4(v4)) => (A, v4.octets().to_vec()),
                Record::Address(IpAddr::V6(v6)) => (AAAA, v6.octets().to_vec()),
                Record::Name(name) => (PTR, name_bytes(name)),
            };
            // 0xc00c points at the name of the question.
            for number in [0xc00c, kind, CLASS_IN] {
                out.extend_from_slice(&number.to_be_bytes());
            }
            out.extend_from_slice(&TTL.to_be_bytes());
            out.extend_from_slice(&(data.len() as u16).to_be_bytes());
            out.extend_from_slice(&data);
        }
        if self.edns {
            out.extend_from_slice(&[0, 0, OPT as u8, 0x04, 0xd0, upper, 0, 0, 0, 0, 0]);
        }
        out
    }

    /// Whether bytes from another server answer this question.
    pub fn is_answered_by(&self, bytes: &[u8]) -> bool {
        let answers = u16_at(bytes, 2).is_some_and(|flags| flags & 0x8000 != 0);
        answers
            && u16_at(bytes, 0) == Some(self.id)
            && bytes
                .get(HEADER..HEADER + self.question.len())
                .is_some_and(|q| q.eq_ignore_ascii_case(&self.question))
    }
}

/// The answer to what is asked and cannot be read as a [`Query`]; none to answers, and to what has no header.
pub fn refusal(bytes: &[u8]) -> Option<Vec<u8>> {
    const ANSWER: u16 = 0x8000;
    const OPCODE: u16 = 0x7800;
    const WANTED: u16 = 0x0100;
    let flags = u16_at(bytes, 2).filter(|flags| bytes.len() >= HEADER && flags & ANSWER == 0)?;
    let read = name(bytes, HEADER).and_then(|(_, at)| u16_at(bytes, at + 2));
    let code = match (flags & OPCODE, read) {
        (0, None | Some(CLASS_IN)) => MALFORMED,
        (0, Some(_)) => REFUSED,
        _ => NOT_IMPLEMENTED,
    };
    let mut out = bytes[..2].to_vec();
    out.extend((ANSWER | flags & (OPCODE | WANTED) | u16::from(code)).to_be_bytes());
    out.resize(HEADER, 0);
    Some(out)
}

/// The code of an answer by another server.
pub fn code(answer: &[u8]) -> u8 {
    answer.get(3).map_or(FAILED, |byte| byte & 0xf)
}

fn name_bytes(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        let label = &label.as_bytes()[..label.len().min(63)];
        out.push(label.len() as u8);
        out.extend_from_slice(label);
    }
    out.push(0);
    out
}

/// The address in `4.3.2.1.in-addr.arpa` or `....ip6.arpa`.
pub fn reverse_address(name: &str) -> Option<IpAddr> {
    if let Some(rest) = name.strip_suffix(".in-addr.arpa") {
        let mut octets = [0u8; 4];
        let mut parts = rest.split('.');
        for octet in octets.iter_mut().rev() {
            *octet = parts.next()?.parse().ok()?;
        }
        return parts.next().is_none().then(|| Ipv4Addr::from(octets).into());
    }
    let rest = name.strip_suffix(".ip6.arpa")?;
    let mut bits: u128 = 0;
    let mut count = 0;
    for (at, nibble) in rest.split('.').enumerate() {
        if at >= 32 || nibble.len() != 1 {
            return None;
        }
        bits |= u128::from(u8::from_str_radix(nibble, 16).ok()?) << (4 * at);
        count += 1;
    }
    (count == 32).then(|| Ipv6Addr::from_bits(bits).into())
}

/// A question as a resolver sends it, for tests and benchmarks.
pub fn question(id: u16, name: &str, kind: u16) -> Vec<u8> {
    let mut out = Vec::new();
    for number in [id, 0x0100, 1, 0, 0, 0] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    out.extend(name_bytes(name));
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&CLASS_IN.to_be_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_question_is_read_and_answered() {
        let query = Query::parse(&question(7, "Web.Example", A)).unwrap();
        assert_eq!((query.id, query.name.as_str(), query.kind, query.udp_size), (7, "web.example", A, 512));
        let answer = query.answer_datagram(OK, &[Record::Address("10.0.0.2".parse().unwrap())]);
        assert!(query.is_answered_by(&answer));
        assert_eq!(code(&answer), OK);
        assert_eq!(answer[answer.len() - 4..], [10, 0, 0, 2]);
    }

    #[test]
    fn what_does_not_fit_is_cut() {
        let query = Query::parse(&question(7, "many", A)).unwrap();
        let records = vec![Record::Address("10.0.0.2".parse().unwrap()); 64];
        let answer = query.answer_datagram(OK, &records);
        assert!(answer.len() <= 512 && answer[2] & 2 != 0);
        assert_eq!(answer[7], 30, "as many as fit");
        assert!(query.answer(OK, &records).len() > 512);
    }

    #[test]
    fn another_version_of_edns_is_told_ours() {
        let mut asked = question(7, "web", A);
        asked[11] = 1;
        asked.extend([0, 0, 41, 0x04, 0xd0, 0, 1, 0, 0, 0, 0]);
        let query = Query::parse(&asked).unwrap();
        assert_eq!(query.edns_version, 1);
        let answer = query.answer(BAD_VERSION, &[]);
        assert_eq!(code(&answer), 0, "the lower part");
        assert_eq!(answer[answer.len() - 11..], [0, 0, 41, 0x04, 0xd0, 1, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn what_is_no_plain_question_is_refused_and_answers_are_not_answered() {
        let mut asked = question(7, "web", A);
        let refused = |bytes: &[u8]| refusal(bytes).map(|answer| code(&answer));
        asked[2] |= 5 << 3;
        assert_eq!(refused(&asked), Some(NOT_IMPLEMENTED), "an update");
        let mut chaos = question(7, "version.bind", A);
        *chaos.last_mut().unwrap() = 3;
        assert_eq!(refused(&chaos), Some(REFUSED), "of another class");
        assert_eq!(refused(&question(7, "web", A)[..14]), Some(MALFORMED));
        asked[2] |= 0x80;
        assert_eq!(refused(&asked), None);
        assert_eq!(refused(&asked[..11]), None);
    }

    #[test]
    fn addresses_read_backwards() {
        assert_eq!(reverse_address("2.0.17.172.in-addr.arpa"), Some("172.17.0.2".parse().unwrap()));
        let six = format!(
            "{}.ip6.arpa",
            ["2", "0"]
                .iter()
                .chain(["0"; 28].iter())
                .chain(["d", "f"].iter())
                .copied()
                .collect::<Vec<_>>()
                .join(".")
        );
        assert_eq!(reverse_address(&six), Some("fd00::2".parse().unwrap()));
        for bad in
            ["1.2.3.in-addr.arpa", "x.2.3.4.in-addr.arpa", "1.2.3.4.5.in-addr.arpa", "0.ip6.arpa", "web"]
        {
            assert_eq!(reverse_address(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_stumble(bytes: Vec<u8>) {
            let _ = refusal(&bytes);
            if let Some(query) = Query::parse(&bytes) {
                let _ = query.answer_datagram(NO_SUCH_NAME, &[]);
                let _ = query.is_answered_by(&bytes);
            }
        }
    }
}
