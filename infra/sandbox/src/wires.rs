//! Connections that can be cut, because a time-out means that not even a status line comes back.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use poem::http::uri::Scheme;
use poem::listener::{Acceptor, TcpAcceptor};
use poem::web::{LocalAddr, RemoteAddr};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::shared::hold;

/// The open connections by the address of their other end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wires(Arc<Mutex<HashMap<SocketAddr, Arc<AtomicBool>>>>);

impl Wires {
    /// From here on nothing written to the connection leaves the machine; the next write ends it.
    pub fn cut(&self, peer: &RemoteAddr) {
        if let Some(peer) = peer.as_socket_addr()
            && let Some(wire) = hold(&self.0).get(peer)
        {
            wire.store(true, Ordering::Release);
        }
    }
}

pub(crate) struct CuttableAcceptor {
    pub inner: TcpAcceptor,
    pub wires: Wires,
}

impl Acceptor for CuttableAcceptor {
    type Io = Wire;

    fn local_addr(&self) -> Vec<LocalAddr> {
        self.inner.local_addr()
    }

    async fn accept(&mut self) -> io::Result<(Wire, LocalAddr, RemoteAddr, Scheme)> {
        let (stream, local, remote, scheme) = self.inner.accept().await?;
        stream.set_nodelay(true)?;
        let cut = Arc::new(AtomicBool::new(false));
        let peer = remote.as_socket_addr().copied();
        if let Some(peer) = peer {
            hold(&self.wires.0).insert(peer, cut.clone());
        }
        let wire = Wire { stream, cut, peer, wires: self.wires.clone() };
        Ok((wire, local, remote, scheme))
    }
}

pub(crate) struct Wire {
    stream: TcpStream,
    cut: Arc<AtomicBool>,
    peer: Option<SocketAddr>,
    wires: Wires,
}

impl Drop for Wire {
    fn drop(&mut self) {
        if let Some(peer) = self.peer {
            let mut wires = hold(&self.wires.0);
            // The port may serve a newer connection already.
            if wires.get(&peer).is_some_and(|wire| Arc::ptr_eq(wire, &self.cut)) {
                wires.remove(&peer);
            }
        }
    }
}

impl Wire {
    fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Acquire)
    }
}

fn reset() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "cut by a scripted fault")
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_cut() {
            return Poll::Ready(Err(reset()));
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.is_cut() {
            return Poll::Ready(Err(reset()));
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
