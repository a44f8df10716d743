//! Runs the server as a process of its own, and talks to it from outside.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails fails loudly")]

pub mod api;
pub mod http;
pub mod line;
pub mod multipart;
pub mod openapi;
pub mod smtp;
pub mod ws;

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use self::http::Request;

/// A configuration in which tests do not run into rates that they are not about.
pub const BASE: &str = "[limits]\nregistrations_per_hour = 0\nlogins_per_hour = 0\nmessages_per_minute = 0\ncommands_per_second = 0\nuploads_per_hour = 0\n";

/// A running server with a data folder of its own; killed when dropped.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    home: Home,
}

/// Where a server keeps its things, also while it does not run.
pub struct Home {
    dir: TempDir,
}

impl Home {
    pub fn new(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("chat.toml"), config).unwrap();
        Self { dir }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// What the server has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Starts a server here and waits until it listens.
    pub fn start(self) -> Server {
        let mut command = binary();
        command.arg("--config").arg(self.dir.path().join("chat.toml"));
        command.args(["--listen", "127.0.0.1:0"]).arg("--data-dir").arg(self.data());
        self.start_as(command)
    }

    /// Starts a server by that command and waits until it listens.
    pub fn start_as(self, mut command: Command) -> Server {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.dir.path().join("log"));
        let mut child = command.stdout(Stdio::piped()).stderr(log.unwrap()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").and_then(|text| text.parse().ok());
        let Some(address) = address else {
            let _ = child.kill();
            panic!("the server did not start: {:?} {line:?} {}", child.wait(), self.log());
        };
        Server { child, address, home: self }
    }
}

impl Server {
    /// A server with [`BASE`] and nothing else.
    pub fn start() -> Self {
        Home::new(BASE).start()
    }

    pub fn with(config: &str) -> Self {
        Home::new(config).start()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn log(&self) -> String {
        self.home.log()
    }

    pub fn data(&self) -> PathBuf {
        self.home.data()
    }

    /// Ends it with SIGKILL and starts another one in its place.
    pub fn kill_and_restart(mut self) -> Self {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let empty = Home { dir: tempfile::tempdir().unwrap() };
        std::mem::replace(&mut self.home, empty).start()
    }

    /// The same, with another configuration.
    pub fn kill_and_restart_with(self, config: &str) -> Self {
        std::fs::write(self.home.path().join("chat.toml"), config).unwrap();
        self.kill_and_restart()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits until it ends by itself.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    pub fn get(&self, path: &str) -> Request {
        Request::new(self.address, "GET", path)
    }

    pub fn post(&self, path: &str, body: &Value) -> Request {
        Request::new(self.address, "POST", path).json(body)
    }

    pub fn request(&self, method: &str, path: &str) -> Request {
        Request::new(self.address, method, path)
    }

    /// Registers somebody and returns who they are.
    pub fn register(&self, name: &str) -> User {
        let body = json!({ "email": format!("{name}@example.org"), "username": name, "password": PASSWORD });
        let answer = self.post("/api/auth/register", &body).send();
        assert_eq!(answer.status, 201, "{answer:?}");
        let answer = answer.json();
        User {
            id: answer["user"]["id"].as_str().unwrap().into(),
            name: name.into(),
            token: answer["accessToken"].as_str().unwrap().into(),
            refresh: answer["refreshToken"].as_str().unwrap().into(),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- log of the server\n{}---", self.home.log());
        }
    }
}

pub const PASSWORD: &str = "correct horse battery";

/// What takes the cookie of the refresh token back.
pub const NO_COOKIE: &str = "chat_refresh=; Path=/api/auth; Max-Age=0; HttpOnly; SameSite=Strict";

/// Somebody who has registered.
#[derive(Debug, Clone)]
pub struct User {
    pub id: String,
    pub name: String,
    pub token: String,
    pub refresh: String,
}

/// The binary, without whatever `CHAT_…` variables the tests are run with.
pub fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chat-server"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CHAT_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// A token of somebody else's issuer.
pub fn foreign_token(secret: &str, claims: &Value) -> String {
    use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
    encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}

/// A `send_message` frame.
pub fn message(id: u64, room: &str, content: &str) -> Value {
    json!({ "type": "send_message", "id": id, "roomId": room, "content": content })
}

/// Whether this is a time as the protocol writes them.
pub fn is_time(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.len() == 24 && text.ends_with('Z') && &text[10..11] == "T")
}
