//! Every example runs, does what its head says, and ends. (`terminal_client` needs a person; it is compiled.)
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::{BufRead, BufReader, Read},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{self, Message, WebSocket, client::IntoClientRequest};

/// Far longer than anything here takes: a program that hangs fails the test instead of holding it up.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn the_bot_in_process_answers_and_the_program_ends() {
    let output = Command::new(example("in_process")).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let expected = "guest: Hello, is anybody here?\nguest: !help\n\
                    bot: There is one thing that I understand: !help\n";
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
}

#[test]
fn the_word_filter_refuses_rewrites_and_holds_and_a_moderator_decides() {
    let output = Command::new(example("word_filter")).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let expected = "guest: hello\n\
                    (refused: no advertising here)\n\
                    guest: this d*** weather\n\
                    (held: is this a scam?)\n\
                    (held: my scam pays well)\n\
                    guest: is this a scam?\n\
                    guest: see you\n\
                    (not edited: no advertising here)\n\
                    (not edited: the message was not accepted)\n\
                    (edited: see you darn soon)\n\
                    guest: see you d*** soon\n\
                    guest: bye\n";
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
}

#[test]
fn the_embedded_engine_serves_chat_and_ends_gracefully() {
    let dir = tempfile::tempdir().unwrap();
    let mut program = Program::start("embed", dir.path());
    let url = program.line();
    let mut ada = Client::connect(&url, None);
    let welcome = ada.ask(&json!({"type": "authenticate", "id": 1, "token": "ada"}));
    assert_eq!((&welcome["type"], &welcome["userId"]), (&json!("authenticated"), &json!("ada")));
    let created = ada.ask(&json!({"type": "create_room", "id": 2, "name": "attic"}));
    let room = created["room"]["id"].as_str().unwrap().to_owned();
    let sent = ada.ask(&json!({"type": "send_message", "id": 3, "roomId": room, "content": "hi"}));
    assert_eq!((&sent["type"], &sent["seq"]), (&json!("ack"), &json!(3)));
    program.interrupt();
    assert_eq!(ada.closed(), 1001);
    program.ended();
    assert!(dir.path().join("chat.db").is_dir());
}

#[test]
fn the_shop_on_axum_serves_its_own_routes_and_chat_under_its_own_tokens() {
    let dir = tempfile::tempdir().unwrap();
    let mut program = Program::start("axum_embed", dir.path());
    let url = program.line();
    let address = url.strip_prefix("http://").unwrap();
    let (status, token) = post(address, "/login/ada", "");
    assert_eq!(status, 200);
    let chat = format!("ws://{address}/chat");

    let mut ada = Client::connect(&chat, Some(&token));
    let welcome = ada.ask(&json!({"type": "authenticate", "id": 1}));
    assert_eq!((&welcome["userId"], &welcome["username"]), (&json!("customer-ada"), &json!("ada")));
    assert_eq!(post(address, "/orders/4711", &token), (201, "order-4711".into()));
    let told: Vec<_> = std::iter::from_fn(|| Some(ada.next())).take(3).collect();
    let types: Vec<_> = told.iter().map(|frame| frame["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["room_updated", "user_joined", "new_message"]);
    assert_eq!(told[2]["message"]["content"], "I have ordered 4711.");

    assert_eq!(post(address, "/orders/4711", &token).0, 409);
    assert_eq!(post(address, "/orders/4712", "forged").0, 401);
    let mut mallory = Client::connect(&chat, Some("forged"));
    assert_eq!(mallory.ask(&json!({"type": "authenticate", "id": 1}))["code"], "invalid_token");
    assert_eq!(mallory.closed(), 4401);

    program.interrupt();
    assert_eq!(ada.closed(), 1001);
    program.ended();
}

/// Where cargo puts this package's examples: beside the folder of its tests.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().and_then(Path::parent).unwrap().join("examples").join(name);
    assert!(path.is_file(), "build the examples first: cargo build -p chat-examples --examples");
    path
}

/// An example that serves until it is interrupted.
struct Program {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Program {
    fn start(name: &str, dir: &Path) -> Self {
        let mut command = Command::new(example(name));
        command.arg("127.0.0.1:0").current_dir(dir).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    /// The next line that it prints.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// What Ctrl-C does.
    fn interrupt(&self) {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
    }

    fn ended(mut self) {
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}: {rest}");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // After `ended` there is nothing left to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client that was not written for this engine.
struct Client(WebSocket<TcpStream>);

impl Client {
    fn connect(url: &str, token: Option<&str>) -> Self {
        let mut request = url.into_client_request().unwrap();
        if let Some(token) = token {
            request.headers_mut().insert("Authorization", format!("Bearer {token}").parse().unwrap());
        }
        let stream = dial(request.uri().authority().unwrap().as_str());
        Self(tungstenite::client(request, stream).unwrap().0)
    }

    fn next(&mut self) -> Value {
        loop {
            if let Message::Text(text) = self.0.read().unwrap() {
                return serde_json::from_str(&text).unwrap();
            }
        }
    }

    /// Sends a command and gives the frame that has its id; what comes before it is passed over.
    fn ask(&mut self, command: &Value) -> Value {
        self.0.send(Message::text(command.to_string())).unwrap();
        loop {
            let frame = self.next();
            if frame["id"] == command["id"] {
                return frame;
            }
        }
    }

    /// The code with which the server closes.
    fn closed(&mut self) -> u16 {
        loop {
            if let Message::Close(frame) = self.0.read().unwrap() {
                // Reading on says goodbye, too, so that the server does not wait for it.
                while self.0.read().is_ok() {}
                return frame.unwrap().code.into();
            }
        }
    }
}

/// A request without a body, and the status and body of its answer.
fn post(address: &str, path: &str, token: &str) -> (u16, String) {
    use std::io::Write;
    let mut stream = dial(address);
    let head = format!("POST {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n");
    stream.write_all(format!("{head}Content-Length: 0\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn dial(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}
