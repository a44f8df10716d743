//! Where the bytes come from.

use std::{io, pin::Pin};

use futures::future::BoxFuture;
use http::Uri;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

/// Bytes both ways.
pub trait Stream: AsyncRead + AsyncWrite + Send {}

impl<S: AsyncRead + AsyncWrite + Send> Stream for S {}

/// Any stream.
pub type BoxStream = Pin<Box<dyn Stream>>;

/// Opens streams to a server. Implement it for TLS, proxies or tests.
pub trait Dial: Send + Sync + 'static {
    /// Opens a stream to the host of an address.
    fn dial(&self, address: &Uri) -> BoxFuture<'static, io::Result<BoxStream>>;
}

/// Plain TCP, for `ws://` addresses.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tcp;

impl Dial for Tcp {
    fn dial(&self, address: &Uri) -> BoxFuture<'static, io::Result<BoxStream>> {
        let plain = address.scheme_str() == Some("ws");
        let host = address.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = address.port_u16().unwrap_or(80);
        Box::pin(async move {
            if !plain {
                let message = "encrypted addresses need a dialer that speaks TLS";
                return Err(io::Error::new(io::ErrorKind::Unsupported, message));
            }
            let stream = TcpStream::connect((host, port)).await?;
            stream.set_nodelay(true)?;
            Ok(Box::pin(stream) as BoxStream)
        })
    }
}
