//! Whether an answer tells that an account or a private room exists: by its bytes, or by how long it takes.

use std::{thread, time::Duration};

use serde_json::json;

use crate::{
    Failure,
    client::{Answer, Client, Request},
    dice::Dice,
    limits::SAMPLES_MAX,
    options::{Durability, Options},
    people::{Person, address_of, create_room, email_of, login, register},
    report::{Goal, Report, median},
    server::Server,
    welch::{Lot, t, t_cropped},
};

/// Failed logins of an account, and mails to an address, that cost nothing and are not refused.
const TRIES: usize = 3;

/// The same of an address that requests come from, with room to spare.
const TRIES_OF_ADDRESS: usize = 15;

/// Private rooms that others ask for.
const ROOMS: usize = 20;

/// Of each question so many answers are not counted: the first ones take as long as they like.
const WARM_UP: usize = 2 * TRIES;

/// |t| at which times are held to differ: by chance it is reached once in 100,000 comparisons.
const T_MAX: f64 = 4.5;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    Login,
    Forgot,
    Room,
}

impl Question {
    const fn name(self) -> &'static str {
        match self {
            Self::Login => "login with a wrong password",
            Self::Forgot => "a forgotten password",
            Self::Room => "a private room of others",
        }
    }

    const fn status(self) -> u16 {
        match self {
            Self::Login => 401,
            Self::Forgot => 204,
            Self::Room => 404,
        }
    }
}

/// Who asks, and for what.
struct Asking {
    client: Client,
    /// Requests so far: what they are said to come from changes with them.
    requests: usize,
    /// Has nothing to do with the rooms.
    stranger: Person,
    known: Vec<String>,
    unknown: Vec<String>,
    rooms: Vec<String>,
    dice: Dice,
}

pub(super) fn measure(options: &Options, report: &mut Report) -> Result<(), Failure> {
    let samples = options.pick(options.samples, 1_000, 12).clamp(2, SAMPLES_MAX);
    let (dice, seed) = Dice::fresh()?;
    // Mails go to the log here, with what only their receiver may know.
    let durability = options.durability.unwrap_or(Durability::Fsync);
    let server = Server::start_saying(options, durability, "error")?;
    let accounts = (samples + WARM_UP).div_ceil(TRIES);
    eprintln!("order by seed {seed}; making {accounts} accounts");
    let mut asking = prepare(Client::connect(server.address())?, accounts, dice)?;
    report.add("samples of each", samples as f64, "");
    for question in [Question::Login, Question::Forgot, Question::Room] {
        eprintln!("{}: {samples} of what exists, and as many of what does not", question.name());
        asking.compare(question, samples, options.quick, report)?;
    }
    server.stop()
}

fn prepare(mut client: Client, accounts: usize, dice: Dice) -> Result<Asking, Failure> {
    let prefix = super::fresh_prefix()?;
    let stranger = register(&mut client, 0, format!("{prefix}stranger"))?;
    let owner = register(&mut client, 1, format!("{prefix}owner"))?;
    let rooms = (0..ROOMS).map(|number| create_room(&mut client, &owner, &format!("{prefix}{number}"), true));
    let rooms = rooms.collect::<Result<_, _>>()?;
    // Names of one length, as bytes are compared.
    let names = |letter: char| (0..accounts).map(move |number| format!("{letter}{number:06}"));
    let known: Vec<_> = names('k').map(|name| format!("{prefix}{name}")).collect();
    let unknown = names('n').map(|name| format!("{prefix}{name}")).collect();
    for (number, name) in known.iter().enumerate() {
        register(&mut client, 2 + number, name.clone())?;
    }
    Ok(Asking { client, requests: 0, stranger, known, unknown, rooms, dice })
}

impl Asking {
    /// Asks for what exists and what does not, in any order.
    fn compare(
        &mut self,
        question: Question,
        samples: usize,
        quick: bool,
        report: &mut Report,
    ) -> Result<(), Failure> {
        // What one request leaves to do falls on both kinds of next ones alike.
        let mut order: Vec<_> = [true, false].repeat(samples);
        self.dice.shuffle(&mut order);
        let order = [true, false].repeat(WARM_UP).into_iter().chain(order);
        let mut asked = [0_usize; 2];
        let mut lots = [Lot::default(), Lot::default()];
        let (mut bytes, mut otherwise) = (None, 0_u64);
        for exists in order {
            let number = &mut asked[usize::from(!exists)];
            let (turn, lot) = (*number, &mut lots[usize::from(!exists)]);
            *number += 1;
            let (answer, id) = self.ask(question, exists, turn)?;
            let seen = without_id(&answer, &id);
            let first: &String = bytes.get_or_insert_with(|| seen.clone());
            if answer.status != question.status() || *first != seen {
                otherwise += 1;
                eprintln!("{}: exists: {exists}, {} instead of {}", question.name(), seen, first);
            }
            if turn >= WARM_UP {
                lot.note(answer.nanos);
            }
            // Mails are made out after the answer; a place in their queue is free again then.
            thread::sleep(Duration::from_millis(1));
        }
        report.failed += otherwise;
        tell(question, &lots, otherwise, quick, report);
        Ok(())
    }

    fn ask(&mut self, question: Question, exists: bool, turn: usize) -> Result<(Answer, String), Failure> {
        let names = if exists { &self.known } else { &self.unknown };
        let name = &names[(turn / TRIES).min(names.len() - 1)];
        let from = address_of((1 << 16) + self.requests / TRIES_OF_ADDRESS);
        self.requests += 1;
        let (answer, id) = match question {
            Question::Login => {
                let body = login(name, "wrong horse battery");
                (self.client.ask(&from, &Request::post("/api/auth/login", &body))?, name.clone())
            }
            Question::Forgot => {
                let body = json!({ "email": email_of(name) }).to_string();
                (self.client.ask(&from, &Request::post("/api/auth/password/forgot", &body))?, name.clone())
            }
            Question::Room => {
                let mut id = self.rooms[turn % self.rooms.len()].clone();
                if !exists {
                    // One that looks as if it had been made in the same moment.
                    let random = format!("{:012x}", self.dice.roll() >> 16);
                    id.replace_range(id.len() - random.len().., &random);
                }
                let path = format!("/api/rooms/{id}");
                (self.client.ask(&from, &Request::get(&path).by(&self.stranger.token))?, id)
            }
        };
        Ok((answer, id))
    }
}

/// All that came but the hour, and the id that was asked for.
fn without_id(answer: &Answer, id: &str) -> String {
    let lines = answer.head.lines().filter(|line| !line.to_ascii_lowercase().starts_with("date:"));
    let head: Vec<_> = lines.collect();
    format!("{}\n\n{}", head.join("\n"), String::from_utf8_lossy(&answer.body)).replace(id, "ID")
}

fn tell(question: Question, lots: &[Lot; 2], otherwise: u64, quick: bool, report: &mut Report) {
    let [exists, not] = lots;
    let name = |what: &str| format!("{}: {what}", question.name());
    for (lot, what) in [(exists, "exists"), (not, "does not")] {
        report.add(&name(&format!("{what}, mean")), lot.mean() / 1e3, "us");
        report.add(&name(&format!("{what}, median")), median(&lot.micros()), "us");
    }
    let welch = t(exists, not);
    report.add(&name("t"), welch, "");
    report.add(&name("t without the slowest 5 %"), t_cropped(exists, not), "");
    // Of a few samples nothing can be said.
    let goal = if quick { Goal::None } else { Goal::Most(T_MAX) };
    report.add_with_goal(&name("|t|"), welch.abs(), "", goal);
    report.add_with_goal(&name("answers of other bytes"), otherwise as f64, "", Goal::Most(0.0));
    if !quick && welch.abs() >= T_MAX {
        report.failed += 1;
    }
}
