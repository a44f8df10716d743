//! A server, workers, rooms and members: where measurements take place, window by window.

use std::time::{Duration, Instant};

use crate::{
    Failure,
    crew::Crew,
    limits::{CONNECTIONS_PER_WORKER, MESSAGES_MAX, OPENING},
    options::{Durability, Options},
    orders::{Flow, Order, Pace, Plan, Reply, Sent, Target, Who},
    report::Report,
    server::{Server, Watched},
    tally::{Times, Total},
};

/// Where measurements take place.
pub(crate) struct Site {
    /// The server under load.
    pub(crate) server: Server,
    /// Who there is.
    pub(crate) plan: Plan,
    crew: Crew,
    heads: Vec<u64>,
}

/// What happened in a window.
pub(crate) struct Window {
    /// What all workers counted.
    pub(crate) total: Total,
    /// Messages that were sent, all of them acked.
    pub(crate) messages: u64,
    /// How long they were being sent.
    pub(crate) sending: f64,
    /// How long it took until everybody had everything, in seconds.
    pub(crate) seconds: f64,
    /// CPU time of what was measured, in seconds.
    pub(crate) cpu: f64,
}

impl Window {
    /// CPU time of what was measured for each message that somebody got, in microseconds.
    pub(crate) fn cpu_per_delivery(&self) -> f64 {
        self.cpu * 1e6 / self.total.delivered.max(1) as f64
    }

    /// CPU time of what was measured for each message that was sent, in microseconds.
    pub(crate) fn cpu_per_message(&self) -> f64 {
        self.cpu * 1e6 / self.messages.max(1) as f64
    }

    /// Messages that members got, a second.
    pub(crate) fn deliveries_per_second(&self) -> f64 {
        self.total.delivered as f64 / self.seconds
    }

    /// What of one core the load itself took, in percent.
    pub(crate) fn load_percent(&self) -> f64 {
        self.total.cpu / self.seconds * 100.0
    }
}

/// What connecting came to.
pub(crate) struct Connected {
    /// For each connection from its beginning until it was authenticated.
    pub(crate) times: Times,
    /// CPU time of the server meanwhile, in seconds.
    pub(crate) cpu: f64,
    /// How long it took for all, in seconds.
    pub(crate) seconds: f64,
}

/// A flow of messages.
pub(crate) fn flow(who: Who, pace: Pace, seconds: f64) -> Flow {
    Flow { who, pace, seconds, most: MESSAGES_MAX }
}

impl Site {
    /// Starts a server and workers, makes the rooms, and lets everybody join theirs. Nobody is connected then.
    ///
    /// # Errors
    /// When anything of that fails.
    pub(crate) fn prepare(
        options: &Options,
        mut plan: Plan,
        durability: Durability,
    ) -> Result<Self, Failure> {
        let server = Server::start(options, durability)?;
        if options.url.is_some() {
            // Rooms of former runs are still there.
            plan.prefix = format!("{}-{:x}", plan.prefix, crate::stamp::now());
        }
        let needed = (plan.members + plan.speakers).div_ceil(CONNECTIONS_PER_WORKER).max(1);
        let workers = options.processes.unwrap_or(needed).clamp(1, 64);
        eprintln!("{} members of {} rooms, {workers} workers: joining", plan.members, plan.rooms);
        let crew = Crew::start(workers, &plan, server.secret())?;
        let mut site = Self { server, plan, crew, heads: Vec::new() };
        site.aim()?;
        if !site.plan.direct {
            let Reply::Created { ids } = site.crew.first(&Order::Create)? else { return unexpected() };
            site.crew.all(&Order::Rooms { ids })?;
        }
        site.crew.all(&Order::Enrol)?;
        if !site.plan.direct {
            let Reply::Heads { heads } = site.crew.first(&Order::Heads)? else { return unexpected() };
            site.crew.all(&Order::From { heads: heads.clone() })?;
            site.heads = heads;
        }
        Ok(site)
    }

    fn aim(&mut self) -> Result<(), Failure> {
        let address = self.server.address();
        self.crew.all(&Order::Aim { target: Target::Server, address })?;
        Ok(())
    }

    /// Starts the server anew while nobody is connected, so that its memory knows nothing of what was before.
    ///
    /// # Errors
    /// When that fails.
    pub(crate) fn restart_server(&mut self) -> Result<(), Failure> {
        self.server.restart()?;
        self.aim()
    }

    /// Lets members or speakers connect to the server.
    ///
    /// # Errors
    /// When one of them can't.
    pub(crate) fn connect(&mut self, who: Who) -> Result<Connected, Failure> {
        self.connect_to(Target::Server, who)
    }

    fn connect_to(&mut self, target: Target, who: Who) -> Result<Connected, Failure> {
        let (begun, before) = (Instant::now(), self.server.cpu()?);
        let mut times = Times::default();
        for reply in self.crew.all(&Order::Connect { target, who, opening: OPENING })? {
            let Reply::Opened { authenticated, .. } = reply else { return unexpected() };
            times.add(&authenticated);
        }
        Ok(Connected {
            times,
            cpu: self.server.cpu()?.since(&before),
            seconds: begun.elapsed().as_secs_f64(),
        })
    }

    /// Lets everybody connect to a floor.
    ///
    /// # Errors
    /// When one of them can't.
    pub(crate) fn connect_to_floor(&mut self, address: std::net::SocketAddr) -> Result<(), Failure> {
        self.crew.all(&Order::Aim { target: Target::Floor, address })?;
        self.connect_to(Target::Floor, Who::Members)?;
        self.connect_to(Target::Floor, Who::Speakers)?;
        Ok(())
    }

    /// Cuts connections.
    ///
    /// # Errors
    /// When a worker has failed.
    pub(crate) fn cut(&mut self, target: Target, who: Who) -> Result<(), Failure> {
        self.crew.all(&Order::Cut { target, who })?;
        Ok(())
    }

    /// Gives all workers an order that is answered by nothing but that it is done.
    ///
    /// # Errors
    /// When a worker has failed.
    pub(crate) fn order(&mut self, order: &Order) -> Result<(), Failure> {
        self.crew.all(order)?;
        Ok(())
    }

    /// Gives all workers an order that opens connections, and puts the times together: until they were
    /// authenticated, until they had caught up.
    ///
    /// # Errors
    /// When a worker has failed.
    pub(crate) fn open(&mut self, order: &Order) -> Result<(Times, Times), Failure> {
        let mut times = (Times::default(), Times::default());
        for reply in self.crew.all(order)? {
            let Reply::Opened { authenticated, caught_up } = reply else { return unexpected() };
            times.0.add(&authenticated);
            times.1.add(&caught_up);
        }
        Ok(times)
    }

    /// Sends, waits until everybody has everything, and tells what it took of the server or the floor.
    ///
    /// # Errors
    /// When a worker has failed.
    pub(crate) fn window(
        &mut self,
        target: Target,
        watched: Option<&dyn Watched>,
        flow: Flow,
        report: &mut Report,
    ) -> Result<Window, Failure> {
        self.tally(true, report)?;
        let cpu = |site: &Self| watched.map_or_else(|| site.server.cpu(), Watched::cpu);
        let (begun, before) = (Instant::now(), cpu(self)?);
        self.begin(target, flow)?;
        let sent = self.finish(target)?;
        let (seconds, after) = (begun.elapsed().as_secs_f64(), cpu(self)?);
        let total = self.tally(false, report)?;
        Ok(Window {
            total,
            messages: sent.messages,
            sending: sent.seconds,
            seconds,
            cpu: after.since(&before),
        })
    }

    /// Begins to send.
    ///
    /// # Errors
    /// When a worker has failed.
    pub(crate) fn begin(&mut self, target: Target, flow: Flow) -> Result<(), Failure> {
        self.crew.all(&Order::Send { target, flow })?;
        Ok(())
    }

    /// Waits until everything is sent and acked, and everybody has it.
    ///
    /// # Errors
    /// When a worker has failed.
    pub(crate) fn finish(&mut self, target: Target) -> Result<Sent, Failure> {
        let sent = self.wait_sent(target)?;
        self.reach(target, &sent)?;
        Ok(sent)
    }

    /// Waits until everything is sent and acked.
    ///
    /// # Errors
    /// When a worker has failed.
    pub(crate) fn wait_sent(&mut self, target: Target) -> Result<Sent, Failure> {
        let mut sent = Sent::default();
        if target == Target::Server {
            sent.heads.clone_from(&self.heads);
        }
        for reply in self.crew.all(&Order::Sent)? {
            let Reply::Sent(part) = reply else { return unexpected() };
            sent.messages += part.messages;
            sent.seconds = sent.seconds.max(part.seconds);
            if sent.heads.len() < part.heads.len() && !self.plan.direct {
                sent.heads.resize(part.heads.len(), 0);
            }
            for (head, part) in sent.heads.iter_mut().zip(part.heads) {
                *head = part.max(*head);
            }
        }
        if target == Target::Server {
            self.heads.clone_from(&sent.heads);
        }
        Ok(sent)
    }

    /// Waits until everybody has what was sent.
    ///
    /// # Errors
    /// When a worker has failed.
    pub(crate) fn reach(&mut self, target: Target, sent: &Sent) -> Result<(), Failure> {
        self.order(&Order::Reach { target, heads: sent.heads.clone() })
    }

    /// What was counted since the last time.
    ///
    /// # Errors
    /// When a worker has failed.
    pub(crate) fn tally(&mut self, arrivals: bool, report: &mut Report) -> Result<Total, Failure> {
        let mut total = Total::default();
        for reply in self.crew.all(&Order::Tally { arrivals })? {
            let Reply::Tally(counts) = reply else { return unexpected() };
            total.add(&counts);
        }
        report.delivered += total.delivered;
        report.checks.add(total.checks);
        Ok(total)
    }

    /// Ends all processes.
    ///
    /// # Errors
    /// When the server ends badly.
    pub(crate) fn close(self) -> Result<(), Failure> {
        drop(self.crew);
        self.server.stop()
    }
}

/// Pause before memory is looked at: what connecting has begun is over by then.
pub(crate) fn settle(options: &Options) {
    std::thread::sleep(Duration::from_secs_f64(if options.quick { 0.2 } else { 3.0 }));
}

fn unexpected<T>() -> Result<T, Failure> {
    Err("a worker answers what was not asked".into())
}
