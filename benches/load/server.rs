//! The server under load, and the floor: processes of their own, so that what they use is their own.

use std::{
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use clap::ValueEnum;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{
    Failure,
    cpu::Cpu,
    options::{Durability, Options},
    process,
};

/// How long a server may take to end. Over it it is killed, and the run fails.
const ENDING: Duration = Duration::from_secs(60);

/// A server without limits on what this tool does to it.
const CONFIGURATION: &str = r#"
listen = "127.0.0.1:0"
default_rooms = []
trusted_proxies = ["127.0.0.1"]
[limits]
messages_per_minute = 0
commands_per_second = 0
commands_in_flight = 1024
connections_per_user = 0
connections_per_ip = 0
rooms_per_user = 0
registrations_per_hour = 0
logins_per_hour = 0
uploads_per_hour = 0
upload_total_bytes = 1099511627776
"#;

/// A process whose use of CPU and memory is looked at.
pub(crate) trait Watched {
    /// Which one.
    fn pid(&self) -> u32;

    /// CPU time that it has used by now.
    fn cpu(&self) -> Result<Cpu, Failure> {
        Ok(Cpu::of(self.pid())?)
    }
}

/// A chat server.
pub(crate) struct Server {
    address: SocketAddr,
    pid: u32,
    /// Signs tokens.
    secret: String,
    /// What was started here.
    own: Option<Own>,
}

struct Own {
    child: Child,
    program: PathBuf,
    home: TempDir,
}

impl Watched for Server {
    fn pid(&self) -> u32 {
        self.pid
    }
}

impl Server {
    /// Starts one on an empty store, or takes the one that runs already.
    ///
    /// # Errors
    /// When there is none, or it does not start.
    pub(crate) fn start(options: &Options, durability: Durability) -> Result<Self, Failure> {
        Self::start_saying(options, durability, "warn")
    }

    /// The same with a log of that much.
    ///
    /// # Errors
    /// When there is none, or it does not start.
    pub(crate) fn start_saying(
        options: &Options,
        durability: Durability,
        log: &str,
    ) -> Result<Self, Failure> {
        if let (Some(url), Some(variable), Some(pid)) = (&options.url, &options.secret_env, options.pid) {
            let address =
                url.strip_prefix("ws://").unwrap_or(url).trim_end_matches("/ws").trim_end_matches('/');
            let address = address.parse().map_err(|_| "the url should be like ws://127.0.0.1:8080")?;
            let secret = std::env::var(variable).map_err(|_| format!("{variable} is not set"))?;
            // Said now: connections are tried for long, since a server that comes back is waited for.
            TcpStream::connect(address).map_err(|error| format!("nothing answers at {address}: {error}"))?;
            Cpu::of(pid).map_err(|error| format!("process {pid} can't be looked at: {error}"))?;
            return Ok(Self { address, pid, secret, own: None });
        }
        let program = match &options.server {
            Some(program) => program.clone(),
            None => std::env::current_exe()?.with_file_name("chat-server"),
        };
        if !program.is_file() {
            let text = "run `cargo build --release -p chat-server`, or say where it is with --server";
            return Err(format!("there is no server at {}: {text}", program.display()).into());
        }
        let home = tempfile::tempdir_in(match &options.dir {
            Some(dir) => dir.clone(),
            None => store_dir()?,
        })?;
        let mut random = [0; 32];
        getrandom::fill(&mut random)?;
        let secret: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let configuration = format!(
            "{CONFIGURATION}[store]\ndurability = \"{}\"\n[auth.external]\nhs256_secret = \"{secret}\"\n",
            durability.name()
        );
        let configuration = configuration.replace(
            "[limits]",
            &format!("log = \"{log}\"\ndata_dir = '{}'\n[limits]", home.path().join("data").display()),
        );
        std::fs::write(home.path().join("chat.toml"), configuration)?;
        let (child, address) = launch(&program, home.path())?;
        Ok(Self { address, pid: child.id(), secret, own: Some(Own { child, program, home }) })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What its tokens are signed with.
    pub(crate) fn secret(&self) -> &str {
        &self.secret
    }

    /// Starts it anew on the same store, if it was started here: what it did before is no longer in its memory.
    ///
    /// # Errors
    /// When it does not end or not start.
    pub(crate) fn restart(&mut self) -> Result<(), Failure> {
        if let Some(own) = &mut self.own {
            end(&mut own.child)?;
            (own.child, self.address) = launch(&own.program, own.home.path())?;
            self.pid = own.child.id();
        }
        Ok(())
    }

    /// Its memory that belongs to no file, in bytes.
    ///
    /// # Errors
    /// When it is gone.
    pub(crate) fn anonymous_memory(&self) -> Result<u64, Failure> {
        Ok(process::anonymous_memory(self.pid)?)
    }

    /// Its share of all resident memory, in bytes.
    ///
    /// # Errors
    /// When it is gone.
    pub(crate) fn proportional_memory(&self) -> Result<u64, Failure> {
        Ok(process::proportional_memory(self.pid)?)
    }

    /// Lets it end gracefully, which closes its store.
    ///
    /// # Errors
    /// When it ends badly or not at all.
    pub(crate) fn stop(mut self) -> Result<(), Failure> {
        match &mut self.own {
            Some(own) => end(&mut own.child),
            None => Ok(()),
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // It has ended already, unless the run has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Below cargo's target directory where this program lies in one, else where the system keeps temporary files.
///
/// # Errors
/// When that can't be made.
pub(crate) fn store_dir() -> Result<PathBuf, Failure> {
    let program = std::env::current_exe()?;
    let target = program.ancestors().skip(1).take(3).find(|dir| dir.join("CACHEDIR.TAG").is_file());
    let dir = target.map_or_else(std::env::temp_dir, |target| target.join("tmp"));
    std::fs::create_dir_all(&dir)?;
    Ok(dir)
}

fn launch(program: &Path, home: &Path) -> Result<(Child, SocketAddr), Failure> {
    let mut command = Command::new(program);
    // What the environment says of the server is not what is measured.
    command.env_clear().arg("--config").arg(home.join("chat.toml"));
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    match said(&mut child, "listening on http://") {
        Ok(address) => Ok((child, address)),
        Err(failure) => {
            let _ = child.kill();
            Err(format!("the server did not start: {failure}, {}", child.wait()?).into())
        }
    }
}

/// The address that a process says in its first line.
fn said(child: &mut Child, before: &str) -> Result<SocketAddr, Failure> {
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut line)?;
    }
    let address = line.trim().strip_prefix(before).and_then(|address| address.parse().ok());
    address.ok_or_else(|| format!("it says {line:?}").into())
}

fn end(child: &mut Child) -> Result<(), Failure> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    kill_process(pid.ok_or("a process without a number")?, Signal::TERM)?;
    let until = Instant::now() + ENDING;
    while Instant::now() < until {
        match child.try_wait()? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(format!("the server ended badly: {status}").into()),
            None => thread::sleep(Duration::from_millis(20)),
        }
    }
    Err("the server does not end".into())
}

/// A floor; it ends when this is dropped, since its standard input ends.
pub(crate) struct Floor {
    child: Child,
    address: SocketAddr,
}

impl Watched for Floor {
    fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Floor {
    /// Starts one.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) fn start(options: &Options, coalesce: bool) -> Result<Self, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("floor").args(coalesce.then_some("--coalesce"));
        if let Some(fault) = options.floor_fault.as_ref().and_then(ValueEnum::to_possible_value) {
            command.arg("--fault").arg(fault.get_name());
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let address = said(&mut child, "floor on ")?;
        Ok(Self { child, address })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
