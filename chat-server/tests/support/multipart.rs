//! Bodies of uploads.

use super::{
    Server, User,
    http::{Answer, Request},
};

pub const BOUNDARY: &str = "----a-boundary-of-tests";

/// The smallest PNG there is: one pixel.
pub const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\0\x05\0\x01\xff\x89\x99=\x1d\0\0\0\0IEND\xaeB`\x82";

/// One part of a body.
pub fn part(name: &str, filename: Option<&str>, content: &[u8]) -> Vec<u8> {
    let filename = filename.map(|name| format!("; filename=\"{name}\"")).unwrap_or_default();
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"{filename}\r\nContent-Type: application/octet-stream\r\n\r\n"
    );
    [head.as_bytes(), content, b"\r\n"].concat()
}

pub fn end() -> Vec<u8> {
    format!("--{BOUNDARY}--\r\n").into_bytes()
}

pub fn content_type() -> String {
    format!("multipart/form-data; boundary={BOUNDARY}")
}

impl Server {
    /// An upload of one file that is still to be sent.
    pub fn uploading(&self, user: &User, name: &str, content: &[u8]) -> Request {
        let body = [part("file", Some(name), content), end()].concat();
        self.request("POST", "/api/upload")
            .bearer(&user.token)
            .header("Content-Type", &content_type())
            .body(body)
    }

    /// Uploads one file.
    pub fn upload(&self, user: &User, name: &str, content: &[u8]) -> Answer {
        self.uploading(user, name, content).send()
    }
}
