//! The workers, as the coordinator sees them.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use crate::{
    Failure,
    orders::{Begin, Order, Plan, Reply},
};

/// All workers. They end when this is dropped, since their standard input ends.
pub(crate) struct Crew(Vec<Hand>);

struct Hand {
    child: Child,
    orders: Option<ChildStdin>,
    replies: BufReader<ChildStdout>,
}

impl Crew {
    /// Starts so many workers, and gives each the plan.
    ///
    /// # Errors
    /// When one does not start.
    pub(crate) fn start(workers: usize, plan: &Plan, secret: &str) -> Result<Self, Failure> {
        let program = std::env::current_exe()?;
        let mut crew = Self(Vec::new());
        for worker in 0..workers {
            let mut child =
                Command::new(&program).arg("worker").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
            let (orders, replies) = (child.stdin.take(), child.stdout.take());
            let replies = BufReader::new(replies.ok_or("a worker says nothing")?);
            crew.0.push(Hand { child, orders, replies });
            let begin = Begin { plan: plan.clone(), worker, workers, secret: secret.to_owned() };
            crew.0[worker].ask(&Order::Begin(Box::new(begin)))?;
        }
        Ok(crew)
    }

    /// Gives all the same order, and waits for their answers.
    ///
    /// # Errors
    /// What a worker fails with.
    pub(crate) fn all(&mut self, order: &Order) -> Result<Vec<Reply>, Failure> {
        for hand in &mut self.0 {
            hand.tell(order)?;
        }
        self.0.iter_mut().map(Hand::hear).collect()
    }

    /// Gives the first worker an order, and waits for the answer.
    ///
    /// # Errors
    /// What it fails with.
    pub(crate) fn first(&mut self, order: &Order) -> Result<Reply, Failure> {
        self.0.first_mut().ok_or("there are no workers")?.ask(order)
    }
}

impl Hand {
    fn ask(&mut self, order: &Order) -> Result<Reply, Failure> {
        self.tell(order)?;
        self.hear()
    }

    fn tell(&mut self, order: &Order) -> Result<(), Failure> {
        let mut line = serde_json::to_string(order)?;
        line.push('\n');
        let told = self.orders.as_mut().ok_or("a worker hears nothing")?.write_all(line.as_bytes());
        // A worker that has ended has said why.
        if told.is_err() {
            self.hear()?;
        }
        Ok(told?)
    }

    fn hear(&mut self) -> Result<Reply, Failure> {
        let mut line = String::new();
        self.replies.read_line(&mut line)?;
        if line.is_empty() {
            return Err("a worker has ended".into());
        }
        match serde_json::from_str(&line)? {
            Reply::Failed { reason } => Err(reason.into()),
            reply => Ok(reply),
        }
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        drop(self.orders.take());
        // It ends by itself; one that does not is of no use to anybody.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
