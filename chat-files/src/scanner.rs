//! Looking for viruses: a trait, and a client of ClamAV's `clamd`.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use tokio::{
    fs::File,
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
};

use crate::limits::{PIECE_BYTES, SCAN_ANSWER_BYTES, SCAN_TIMEOUT};

/// What a scanner says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It knows nothing bad in it.
    Clean,
    /// It should not be kept.
    Infected,
}

/// Looks at every upload before it is kept, and before anything else is made of it.
#[async_trait]
pub trait Scanner: Send + Sync + 'static {
    /// Judges the file at `path`, which is gone some time after this returns.
    ///
    /// # Errors
    /// When there is no verdict.
    async fn scan(&self, path: &Path) -> io::Result<Verdict>;
}

/// A client of `clamd`: each file is sent over a connection of its own (`INSTREAM`). Its `StreamMaxLength` has to be
/// above the limit of uploads.
#[derive(Debug, Clone)]
pub struct ClamAv {
    place: Place,
}

#[derive(Debug, Clone)]
enum Place {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl ClamAv {
    /// One that listens on TCP.
    #[must_use]
    pub const fn tcp(address: SocketAddr) -> Self {
        Self { place: Place::Tcp(address) }
    }

    /// One that listens on a socket of the file system.
    #[must_use]
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self { place: Place::Unix(path.into()) }
    }

    async fn ask(&self, path: &Path) -> io::Result<Verdict> {
        let file = File::open(path).await?;
        match &self.place {
            Place::Tcp(address) => exchange(TcpStream::connect(address).await?, file).await,
            Place::Unix(socket) => exchange(UnixStream::connect(socket).await?, file).await,
        }
    }
}

#[async_trait]
impl Scanner for ClamAv {
    async fn scan(&self, path: &Path) -> io::Result<Verdict> {
        tokio::time::timeout(SCAN_TIMEOUT, self.ask(path)).await?
    }
}

/// Sends the file in pieces, each after its length; a length of zero ends it. The answer ends with a zero byte.
async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, mut file: File) -> io::Result<Verdict> {
    let sent = send(&mut stream, &mut file).await;
    let mut answer = Vec::new();
    // It may answer, and hang up, before it has taken everything.
    let read = stream.take(SCAN_ANSWER_BYTES).read_to_end(&mut answer).await;
    let text = String::from_utf8_lossy(&answer);
    match text.trim_end_matches(['\0', '\n']) {
        "stream: OK" => sent.map(|()| Verdict::Clean),
        text if text.starts_with("stream: ") && text.ends_with(" FOUND") => Ok(Verdict::Infected),
        _ => {
            read?;
            sent?;
            Err(io::Error::other("the scanner did not answer as clamd does"))
        }
    }
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), file: &mut File) -> io::Result<()> {
    stream.write_all(b"zINSTREAM\0").await?;
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let read = file.read(&mut piece).await?;
        let length = u32::try_from(read).map_err(io::Error::other)?;
        stream.write_all(&length.to_be_bytes()).await?;
        if read == 0 {
            return stream.flush().await;
        }
        stream.write_all(&piece[..read]).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use tokio::net::{TcpListener, UnixListener};

    /// A `clamd` that takes one stream as the protocol has it, and finds what holds "EICAR".
    async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Vec<u8> {
        let mut command = [0; 10];
        stream.read_exact(&mut command).await.unwrap();
        assert_eq!(&command, b"zINSTREAM\0");
        let mut whole = Vec::new();
        loop {
            let length = stream.read_u32().await.unwrap();
            if length == 0 {
                break;
            }
            let mut piece = vec![0; length as usize];
            stream.read_exact(&mut piece).await.unwrap();
            whole.extend(piece);
        }
        let found = whole.windows(5).any(|window| window == b"EICAR");
        let answer: &[u8] = if found { b"stream: Eicar-Signature FOUND\0" } else { b"stream: OK\0" };
        stream.write_all(answer).await.unwrap();
        whole
    }

    fn file(content: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        file
    }

    #[tokio::test]
    async fn a_file_is_sent_whole_and_judged_over_tcp_and_over_a_socket() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let clam = ClamAv::tcp(listener.local_addr().unwrap());
        let long = b"clean ".repeat(50_000);
        for (content, verdict) in [(long.as_slice(), Verdict::Clean), (b"an EICAR file", Verdict::Infected)] {
            let serving = async { answer(listener.accept().await.unwrap().0).await };
            let upload = file(content);
            let (judged, seen) = tokio::join!(clam.scan(upload.path()), serving);
            assert_eq!((judged.unwrap(), seen.as_slice()), (verdict, content));
        }
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("clamd.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let serving = async { answer(listener.accept().await.unwrap().0).await };
        let (clam, upload) = (ClamAv::unix(socket), file(b"x"));
        let (judged, _) = tokio::join!(clam.scan(upload.path()), serving);
        assert_eq!(judged.unwrap(), Verdict::Clean);
    }

    #[tokio::test]
    async fn an_answer_that_is_none_is_no_verdict() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let clam = ClamAv::tcp(listener.local_addr().unwrap());
        let upload = file(b"x");
        for answer in [&b"INSTREAM size limit exceeded. ERROR\0"[..], b"", b"stream: OKAY\0", b"OK\0"] {
            let serving = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                stream.write_all(answer).await.unwrap();
            };
            let (judged, ()) = tokio::join!(clam.scan(upload.path()), serving);
            assert!(judged.is_err(), "{answer:?}");
        }
        drop(listener);
        assert!(clam.scan(upload.path()).await.is_err());
    }
}
