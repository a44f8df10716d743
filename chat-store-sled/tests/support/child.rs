//! Another process that runs one function of this very test file.
//!
//! The function is a test that is ignored unless it is asked for by name, and reads what it is to do from the
//! environment.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::Mutex,
};

/// Where the other process finds its store and writes its acks.
const STORE: &str = "CHILD_STORE";
const ACKS: &str = "CHILD_ACKS";
const ORDERS: &str = "CHILD_ORDERS";

/// A process that works on a store until it is killed.
#[derive(Debug)]
pub struct Child {
    process: std::process::Child,
    errors: PathBuf,
}

/// Prepares `function` to run in a process of its own on the store in `store`, adding its acks to `acks`.
pub fn prepare(function: &str, orders: &str, store: &Path, acks: &Path) -> Command {
    OpenOptions::new().create(true).append(true).open(acks).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([function, "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env(STORE, store)
        .env(ACKS, acks)
        .env(ORDERS, orders)
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

/// Starts it.
pub fn start(mut command: Command, errors: &Path) -> Child {
    let process = command.stderr(File::create(errors).unwrap()).spawn().unwrap();
    Child { process, errors: errors.to_path_buf() }
}

impl Child {
    /// Ends it with SIGKILL. It has to be running still: its work has no end.
    pub fn kill(mut self) {
        if let Some(status) = self.process.try_wait().unwrap() {
            panic!("the other process ended by itself, {status}: {}", self.errors());
        }
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        let errors = self.errors();
        assert!(!errors.contains("the recording is incomplete"), "{errors}");
    }

    /// Waits until it ends by itself.
    pub fn wait(mut self) -> (ExitStatus, String) {
        let status = self.process.wait().unwrap();
        (status, self.errors())
    }

    /// Waits until it has written at least so many acks.
    pub fn wait_for_acks(&mut self, acks: &Path, count: usize) {
        while fs::read_to_string(acks).unwrap().lines().count() < count {
            if let Some(status) = self.process.try_wait().unwrap() {
                panic!("the other process ended by itself, {status}: {}", self.errors());
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }

    fn errors(&self) -> String {
        fs::read_to_string(&self.errors).unwrap()
    }
}

/// The side of the other process.
pub struct Orders {
    pub store: PathBuf,
    /// What exactly is to be done.
    pub orders: String,
    pub acks_path: PathBuf,
    acks: Mutex<File>,
}

impl Orders {
    /// What the process was started for.
    pub fn read() -> Self {
        let path = |name| PathBuf::from(std::env::var_os(name).expect("only another test starts this one"));
        let acks_path = path(ACKS);
        let acks = Mutex::new(OpenOptions::new().append(true).open(&acks_path).unwrap());
        Self { store: path(STORE), orders: std::env::var(ORDERS).unwrap(), acks_path, acks }
    }

    /// Tells the world; call it after the durable reply.
    pub fn ack(&self, what: &str) {
        let line = format!("{what}\n");
        self.acks.lock().unwrap().write_all(line.as_bytes()).unwrap();
    }
}
