//! Listening sockets: one for each target and thread, on the same address.
//!
//! Invariant: an address that another process listens on is an error, although `SO_REUSEPORT` would let both have
//! it and share out the connections at random.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use crate::errors::Error;
use crate::options::TargetOptions;

/// Connections that the kernel keeps waiting.
const BACKLOG: i32 = 1024;

/// `count` sockets for a target, and their address.
pub(crate) fn bind(target: &TargetOptions, count: usize) -> Result<(Vec<TcpListener>, SocketAddr), Error> {
    sockets(target.listen, count).map_err(|source| Error::Listen {
        target: target.name.clone(),
        listen: target.listen,
        source,
    })
}

fn sockets(listen: SocketAddr, count: usize) -> io::Result<(Vec<TcpListener>, SocketAddr)> {
    if listen.port() != 0 {
        drop(socket(listen, false)?);
    }
    let first = socket(listen, true)?;
    let address = first.local_addr()?;
    let mut all = vec![first];
    for _ in 1..count {
        all.push(socket(address, true)?);
    }
    Ok((all, address))
}

fn socket(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Connections of a former process that are still closing do not keep the address.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
