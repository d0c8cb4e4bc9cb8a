//! A lean HTTP/1.1 client: one kept-alive connection, as little work as can be, because it shares the cores with the server.

use std::{io, net::SocketAddr, time::Duration};

use tokio::net::TcpStream;

use crate::failure::Failure;

/// Who asks over HTTP, and where.
#[derive(Debug, Clone)]
pub struct Caller {
    pub address: SocketAddr,
    pub token: String,
}

impl Caller {
    /// So many connections.
    pub async fn connections(&self, count: usize) -> Result<Vec<Connection>, Failure> {
        let mut connections = Vec::with_capacity(count);
        for _ in 0..count {
            connections.push(Connection::open(self.address).await?);
        }
        Ok(connections)
    }

    pub fn get(&self, path: &str) -> Vec<u8> {
        format!("GET {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {}\r\n\r\n", self.token).into_bytes()
    }

    /// A command with an idempotency key of its own.
    pub fn command(&self, name: &str, key: &str, body: &str) -> Vec<u8> {
        format!(
            "POST /v1/commands/{name} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {}\r\nidempotency-key: {key}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.token,
            body.len(),
        )
        .into_bytes()
    }

    /// Waits until the token has reached the read models.
    pub async fn until_known(&self) -> Result<(), Failure> {
        let mut connection = Connection::open(self.address).await?;
        for _ in 0..200 {
            if connection.exchange(&self.get("/v1/units?limit=1")).await?.0 == 200 {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(Failure::Told("the benchmark's token was not accepted within 10 s".to_owned()))
    }
}

/// A kept-alive connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Result<Self, Failure> {
        let open = async {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok::<_, std::io::Error>(stream)
        };
        Ok(Self { stream: open.await.map_err(lost)?, buffer: Vec::with_capacity(4096) })
    }

    /// Sends a request and returns the answer's status and body.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<(u16, &[u8]), Failure> {
        self.send(request).await.map_err(lost)?;
        self.buffer.clear();
        loop {
            if let Some(head) = Head::read(&self.buffer)
                && self.buffer.len() >= head.body + head.length
            {
                let body = self.buffer.get(head.body..head.body + head.length).unwrap_or_default();
                return Ok((head.status, body));
            }
            self.receive().await.map_err(lost)?;
        }
    }

    /// As [`Self::exchange`], for a request that can only be answered with 200.
    pub async fn expect_ok(&mut self, request: &[u8]) -> Result<(), Failure> {
        match self.exchange(request).await? {
            (200, _) => Ok(()),
            (status, body) => Err(Failure::Told(format!("{status}: {}", String::from_utf8_lossy(body)))),
        }
    }

    async fn send(&self, mut request: &[u8]) -> io::Result<()> {
        while !request.is_empty() {
            self.stream.writable().await?;
            match self.stream.try_write(request) {
                Ok(sent) => request = request.get(sent..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn receive(&mut self) -> io::Result<()> {
        let mut chunk = [0; 8192];
        loop {
            self.stream.readable().await?;
            match self.stream.try_read(&mut chunk) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    self.buffer.extend_from_slice(chunk.get(..count).unwrap_or_default());
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}

fn lost(error: impl std::fmt::Display) -> Failure {
    Failure::Told(format!("the benchmark's connection was lost: {error}"))
}

/// What an answer's head says.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    /// Where the body begins.
    body: usize,
    length: usize,
}

impl Head {
    /// `None` until it has arrived as a whole.
    fn read(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let text = std::str::from_utf8(bytes.get(..end)?).ok()?;
        let mut lines = text.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let length = lines
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .and_then(|(_, value)| value.trim().parse().ok())
            .unwrap_or_default();
        Some(Self { status, body: end + 4, length })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_once_its_head_is_there() {
        assert_eq!(Head::read(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"), None);
        let head = Head::read(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab");
        assert_eq!(head, Some(Head { status: 200, body: 38, length: 2 }));
    }
}
