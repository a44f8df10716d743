//! The server under load: this program once more, as a child process, so that what it uses is its own.

use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use chat_core::store::Durability;
use chat_transport_ws::WsTransport;
use tempfile::TempDir;
use tokio::runtime;

use crate::common::{
    process,
    service::{self, Failure},
};

/// The first argument of a child that makes rooms and users, and ends.
const FILL: &str = "child-fill";

/// The first argument of a child that serves until its standard input ends.
const SERVE: &str = "child-serve";

/// How long a server may take to end. Over it it is killed, and the report fails.
const ENDING: Duration = Duration::from_secs(30);

/// A server process with a store of its own.
pub(crate) struct Server {
    child: Child,
    /// Tells the child to end, by being closed: it also does so when this process dies.
    stdin: Option<ChildStdin>,
    address: SocketAddr,
    _dir: TempDir,
}

impl Server {
    /// Starts a server on a new store in which the users are members of the rooms, evenly spread.
    ///
    /// The store is filled by another process before, so that nothing of that is in this one's memory.
    pub(crate) fn start(
        below: &Path,
        durability: Durability,
        rooms: usize,
        users: usize,
    ) -> Result<Self, Failure> {
        let dir = tempfile::tempdir_in(below)?;
        let program = std::env::current_exe()?;
        let counts = [rooms.to_string(), users.to_string()];
        let filled = Command::new(&program).arg(FILL).arg(dir.path()).args(counts).status()?;
        if !filled.success() {
            return Err(format!("can't fill a store: {filled}").into());
        }
        let mut child = Command::new(&program)
            .arg(SERVE)
            .arg(dir.path())
            .arg(durability_name(durability))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let mut line = String::new();
        if let Some(stdout) = stdout {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        match line.trim().parse() {
            Ok(address) => Ok(Self { child, stdin, address, _dir: dir }),
            Err(_) => {
                drop(stdin);
                Err(format!("the server did not start: {}", child.wait()?).into())
            }
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// CPU time that it has used.
    pub(crate) fn cpu_time(&self) -> Result<Duration, Failure> {
        Ok(process::cpu_time(self.child.id())?)
    }

    /// Its memory that belongs to no file, in bytes.
    pub(crate) fn anonymous_memory(&self) -> Result<u64, Failure> {
        Ok(process::anonymous_memory(self.child.id())?)
    }

    /// Lets it end gracefully, which closes its store.
    pub(crate) fn stop(mut self) -> Result<(), Failure> {
        self.stdin = None;
        let until = Instant::now() + ENDING;
        while Instant::now() < until {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(format!("the server ended badly: {status}").into()),
                None => thread::sleep(Duration::from_millis(20)),
            }
        }
        Err("the server did not end".into())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Neither matters for one that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether this process is such a child.
pub(crate) fn is_child(args: &[String]) -> bool {
    args.first().is_some_and(|arg| arg == FILL || arg == SERVE)
}

/// What a child does.
pub(crate) fn run_child(args: &[String]) -> Result<(), Failure> {
    let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
    match args {
        [task, dir, rooms, users] if task == FILL => {
            runtime.block_on(fill(Path::new(dir), rooms.parse()?, users.parse()?))
        }
        [task, dir, durability] if task == SERVE => {
            let durability = parse_durability(durability).ok_or("no such durability")?;
            runtime.block_on(serve(Path::new(dir), durability))
        }
        _ => Err("a child is started by the report only".into()),
    }
}

async fn fill(dir: &Path, rooms: usize, users: usize) -> Result<(), Failure> {
    // Closing saves everything, whatever an ack means.
    let engine = service::builder().store(service::store(dir, Durability::None)?).build().await?;
    service::fill(&engine, rooms, users).await?;
    Ok(engine.shutdown(ENDING).await?)
}

async fn serve(dir: &Path, durability: Durability) -> Result<(), Failure> {
    let engine = service::builder().store(service::store(dir, durability)?).build().await?;
    let transport = WsTransport::bind_with("127.0.0.1:0", service::websockets()).await?;
    println!("{}", transport.local_addr());
    let told_to_end = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    let told_to_end = async { drop(told_to_end.await) };
    Ok(engine.serve(transport).with_graceful_shutdown(told_to_end).await?)
}

fn durability_name(durability: Durability) -> &'static str {
    match durability {
        Durability::Fsync => "fsync",
        Durability::Interval => "interval",
        Durability::None => "none",
    }
}

fn parse_durability(name: &str) -> Option<Durability> {
    [Durability::Fsync, Durability::Interval, Durability::None]
        .into_iter()
        .find(|durability| durability_name(*durability) == name)
}
