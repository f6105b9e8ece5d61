//! One netlink socket: requests, acknowledgements, dumps, pipelines, and the events of multicast groups.
//!
//! A socket belongs for ever to the network namespace it was opened in, whichever thread uses it later; see
//! [`crate::namespace::Namespace::open_socket`].

use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};

use crate::error::{Error, Result};
use crate::wire::{self, Answer, Message};

/// A kernel service behind netlink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// `NETLINK_ROUTE`: links, addresses, routes.
    Route,
    /// `NETLINK_NETFILTER`: nftables, conntrack.
    Netfilter,
}

/// An open socket with extended acknowledgements on.
#[derive(Debug)]
pub struct Socket {
    inner: netlink_sys::Socket,
    port: u32,
    sequence: u32,
    buffer: Vec<u8>,
}

/// Dumps come in pieces of at most 32 KiB; acknowledgements of a batch come one by one.
const RECEIVE: usize = 64 * 1024;
/// Room for the acknowledgements of a batch with ten thousand parts: the kernel fails it with `ENOBUFS` otherwise.
const KERNEL_BUFFER: usize = 8 * 1024 * 1024;
/// `NLMSGERR_ATTR_MSG`.
const ATTR_MESSAGE: u16 = 1;
/// `NLM_F_CAPPED`: the error does not quote the whole request.
const CAPPED: u16 = 0x100;
/// `NLM_F_ACK_TLVS`.
const ACK_ATTRIBUTES: u16 = 0x200;
/// `NLM_F_DUMP_INTR`: the table changed under the dump.
const DUMP_INTERRUPTED: u16 = 0x10;

impl Socket {
    /// Opens a socket in the calling thread's network namespace.
    pub fn open(service: Service) -> Result<Socket> {
        let protocol = match service {
            Service::Route => netlink_sys::protocols::NETLINK_ROUTE,
            Service::Netfilter => netlink_sys::protocols::NETLINK_NETFILTER,
        };
        let mut inner =
            netlink_sys::Socket::new(protocol).map_err(|e| Error::from(e).doing("open netlink socket"))?;
        let address = inner.bind_auto()?;
        inner.set_ext_ack(true)?;
        inner.set_cap_ack(true)?;
        Ok(Socket { inner, port: address.port_number(), sequence: 0, buffer: Vec::with_capacity(RECEIVE) })
    }

    /// Opens a socket that hears a multicast group as well.
    pub fn listen(service: Service, group: u32) -> Result<Socket> {
        let socket = Socket::open(service)?;
        socket.inner.add_membership(group)?;
        socket.widen();
        Ok(socket)
    }

    /// The port the kernel gave this socket; events name it as their cause.
    pub fn port(&self) -> u32 {
        self.port
    }

    /// Makes room for thousands of acknowledgements. Best effort: without `CAP_NET_ADMIN` over the machine the limit
    /// `net.core.rmem_max` stays, and large batches are reported as failed although the kernel did them.
    pub(crate) fn widen(&self) {
        if self.inner.set_rx_buf_sz(KERNEL_BUFFER).is_err() {
            let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&self.inner, KERNEL_BUFFER);
        }
    }

    /// Sends one request and waits for its end; returns what came before the acknowledgement.
    pub fn request(&mut self, message: Message) -> Result<Vec<Answer>> {
        let sequence = self.next();
        self.send(&message.finish(sequence, wire::ACK))?;
        self.collect(sequence)
    }

    /// Sends several requests in one system call. The kernel does each in order; the first error is returned after
    /// all are answered, so a caller that can undo should undo all.
    pub fn pipeline(&mut self, messages: Vec<Message>) -> Result<()> {
        let mut bytes = Vec::new();
        let mut sequences = Vec::with_capacity(messages.len());
        for message in messages {
            let sequence = self.next();
            bytes.extend_from_slice(&message.finish(sequence, wire::ACK));
            sequences.push(sequence);
        }
        self.send(&bytes)?;
        let mut first = Ok(());
        for sequence in sequences {
            let result = self.collect(sequence).map(drop);
            first = first.and(result);
        }
        first
    }

    /// Asks for a whole table. A dump that the table changed under is asked for again.
    pub fn dump(&mut self, message: Message) -> Result<Vec<Answer>> {
        loop {
            let sequence = self.next();
            self.send(&message.clone().finish(sequence, wire::DUMP))?;
            let answers = self.collect(sequence)?;
            if answers.iter().all(|answer| answer.flags & DUMP_INTERRUPTED == 0) {
                return Ok(answers);
            }
        }
    }

    /// Next events of the group this socket listens to; waits for them. `ENOBUFS` means that some were lost.
    pub fn events(&mut self) -> Result<Vec<Answer>> {
        self.receive()
    }

    pub(crate) fn next(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1).max(1);
        self.sequence
    }

    pub(crate) fn send(&self, bytes: &[u8]) -> Result<()> {
        loop {
            match rustix::net::send(&self.inner, bytes, SendFlags::empty()) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    pub(crate) fn receive(&mut self) -> Result<Vec<Answer>> {
        self.receive_with(RecvFlags::empty())
    }

    pub(crate) fn receive_with(&mut self, flags: RecvFlags) -> Result<Vec<Answer>> {
        loop {
            self.buffer.clear();
            let spare = rustix::buffer::spare_capacity(&mut self.buffer);
            match rustix::net::recv(&self.inner, spare, flags) {
                Ok(_) => return Ok(wire::answers(&self.buffer)),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Reads until the acknowledgement or the end of the dump with this sequence number.
    fn collect(&mut self, sequence: u32) -> Result<Vec<Answer>> {
        let mut out = Vec::new();
        loop {
            for answer in self.receive()? {
                // Leftovers of an exchange that failed halfway are not ours.
                if answer.sequence != sequence {
                    continue;
                }
                match answer.kind {
                    wire::ERROR => return verdict(&answer).map(|()| out),
                    wire::DONE => {
                        let code = wire::u32_at(&answer.body, 0).unwrap_or(0) as i32;
                        return if code < 0 { Err(Errno::from_raw_os_error(-code).into()) } else { Ok(out) };
                    }
                    _ => out.push(answer),
                }
            }
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

/// Reads `struct nlmsgerr { int error; struct nlmsghdr msg; }` and the sentence after it.
pub(crate) fn verdict(answer: &Answer) -> Result<()> {
    let code = wire::u32_at(&answer.body, 0).unwrap_or(0) as i32;
    if code == 0 {
        return Ok(());
    }
    let mut error = Error::new(Errno::from_raw_os_error(-code));
    if answer.flags & ACK_ATTRIBUTES != 0 {
        let quoted = if answer.flags & CAPPED != 0 {
            wire::HEADER
        } else {
            wire::u32_at(&answer.body, 4).unwrap_or(0) as usize
        };
        if let Some(rest) = answer.body.get(4 + quoted.next_multiple_of(4)..) {
            error.message =
                wire::attribute(rest, ATTR_MESSAGE).map(wire::text).filter(|text| !text.is_empty());
        }
    }
    Err(error)
}
