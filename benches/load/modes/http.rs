//! Clients of the HTTP API who log in, read pages, send and upload, one kind after the other: how long each takes.

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    Failure,
    client::{Answer, Client, Request},
    limits::{CLIENTS_MAX, PATIENCE},
    options::{Durability, Kind, Options},
    people::{PASSWORD, Person, address_of, create_room, login, register},
    photo,
    report::{Goal, Report},
    server::{Server, Watched},
    tally::Times,
};

/// Messages on a page.
const PAGE: usize = 50;

/// How long a client waits when something failed, lest it do nothing else any more.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// What everybody knows.
struct Place {
    address: SocketAddr,
    room: String,
    content: String,
    text: (Vec<u8>, &'static str),
    photo: (Vec<u8>, &'static str),
}

/// One client with the user that it is of.
struct Guest {
    number: usize,
    person: Person,
    client: Client,
    /// The page as it came first.
    page: Option<Vec<u8>>,
}

/// What came of one window.
#[derive(Default)]
struct Count {
    times: Times,
    /// Answered otherwise than they should be.
    failed: u64,
    /// Told to come again later, which they did; the time went on.
    put_off: u64,
    example: Option<String>,
}

pub(super) fn measure(options: &Options, report: &mut Report) -> Result<(), Failure> {
    let clients = options.pick(options.clients, 64, 4).clamp(1, CLIENTS_MAX);
    let server = Server::start(options, options.durability.unwrap_or(Durability::Fsync))?;
    eprintln!("{clients} clients: making accounts");
    let (mut guests, place) = prepare(options, &server, clients)?;
    let seconds = options.seconds(5.0);
    report.add("clients", clients as f64, "");
    for kind in options.kinds() {
        eprintln!("{} for {seconds} s", kind.name());
        // What the first one of each costs is not of the others' making.
        window(&mut guests, &place, kind, Pace { seconds: 0.0, every: None });
        let every = options.rate.map(|rate| clients as f64 / rate.max(0.001));
        let (before, begun) = (server.cpu()?, Instant::now());
        let count = window(&mut guests, &place, kind, Pace { seconds, every });
        tell(kind, &count, server.cpu()?.since(&before), begun.elapsed().as_secs_f64(), report);
    }
    server.stop()
}

fn prepare(options: &Options, server: &Server, clients: usize) -> Result<(Vec<Guest>, Place), Failure> {
    let address = server.address();
    let prefix = super::fresh_prefix()?;
    let mut guests = Vec::new();
    for number in 0..clients {
        let mut client = Client::connect(address)?;
        let person = register(&mut client, number, format!("{prefix}{number}"))?;
        guests.push(Guest { number, person, client, page: None });
    }
    let Guest { person, client, .. } = &mut guests[0];
    let room = create_room(client, person, &prefix, false)?;
    let place = Place {
        address,
        content: "x".repeat(options.bytes()),
        text: photo::upload("fox.txt", &photo::text()),
        photo: photo::upload("hills.jpg", &photo::photo()?),
        room,
    };
    let join = format!("/api/rooms/{}/join", place.room);
    for guest in &mut guests[1..] {
        let request = Request { method: "POST", ..Request::get(&join) };
        let request = Request { content_type: "application/json", ..request.by(&guest.person.token) };
        guest.client.ask(&address_of(guest.number), &request)?.expect(200, "joining")?;
    }
    for _ in 0..if options.quick { 2 * PAGE } else { 6 * PAGE } {
        guests[0].ask(&place, Kind::Send)?.expect(201, "a message")?;
    }
    Ok((guests, place))
}

/// How requests follow each other: each client at once when it has its answer, or every so many seconds.
#[derive(Clone, Copy)]
struct Pace {
    seconds: f64,
    every: Option<f64>,
}

/// All clients at the same time. Each asks once at least, and ends what it has begun.
fn window(guests: &mut [Guest], place: &Place, kind: Kind, pace: Pace) -> Count {
    let (begun, clients) = (Instant::now(), guests.len());
    let counts: Vec<Count> = thread::scope(|scope| {
        let share = |guest| scope.spawn(move || one(guest, place, kind, pace, begun, clients));
        let threads: Vec<_> = guests.iter_mut().map(share).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    let mut all = Count { failed: (clients - counts.len()) as u64, ..Count::default() };
    for count in counts {
        all.times.add(&count.times.recorded());
        all.failed += count.failed;
        all.put_off += count.put_off;
        all.example = all.example.or(count.example);
    }
    all
}

fn one(guest: &mut Guest, place: &Place, kind: Kind, pace: Pace, begun: Instant, clients: usize) -> Count {
    let mut count = Count::default();
    let end = begun + Duration::from_secs_f64(pace.seconds);
    // Spread evenly.
    let offset = guest.number as f64 / clients as f64;
    for turn in 0_u32.. {
        // With a rate a request counts from when it is due, also where the one before it is late.
        let due = match pace.every {
            Some(every) => begun + Duration::from_secs_f64((f64::from(turn) + offset) * every),
            None => Instant::now(),
        };
        if turn > 0 && due >= end {
            break;
        }
        thread::sleep(due.saturating_duration_since(Instant::now()));
        match guest.until_answered(place, kind, &mut count.put_off) {
            Ok(()) => count.times.record(u64::try_from(due.elapsed().as_nanos()).unwrap_or(u64::MAX)),
            Err(failure) => {
                count.failed += 1;
                count.example.get_or_insert_with(|| failure.to_string());
                thread::sleep(AFTER_FAILURE);
                match Client::connect(place.address) {
                    Ok(client) => guest.client = client,
                    Err(_) => break,
                }
            }
        }
    }
    count
}

impl Guest {
    /// Asks, and again when told to come later, as a client of good manners does.
    fn until_answered(&mut self, place: &Place, kind: Kind, put_off: &mut u64) -> Result<(), Failure> {
        let begun = Instant::now();
        loop {
            let answer = self.ask(place, kind)?;
            match answer.put_off() {
                Some(pause) if begun.elapsed() < PATIENCE => {
                    *put_off += 1;
                    thread::sleep(pause);
                }
                _ => return self.check(kind, answer),
            }
        }
    }

    fn ask(&mut self, place: &Place, kind: Kind) -> Result<Answer, Failure> {
        let messages = format!("/api/rooms/{}/messages", place.room);
        let page = format!("{messages}?limit={PAGE}");
        let credentials = login(&self.person.name, PASSWORD);
        let message = json!({ "content": place.content }).to_string();
        let token = &self.person.token;
        let request = match kind {
            Kind::Login => Request::post("/api/auth/login", &credentials),
            Kind::Page => Request::get(&page).by(token),
            Kind::Send => Request::post(&messages, &message).by(token),
            Kind::UploadText => uploading(&place.text).by(token),
            Kind::UploadPhoto => uploading(&place.photo).by(token),
        };
        self.client.ask(&address_of(self.number), &request)
    }

    /// Whether that is what should come.
    fn check(&mut self, kind: Kind, answer: Answer) -> Result<(), Failure> {
        let status = if matches!(kind, Kind::Login | Kind::Page) { 200 } else { 201 };
        let answer = answer.expect(status, kind.name())?;
        let good = match kind {
            Kind::Login => answer.json()["accessToken"].is_string(),
            Kind::Page => match &self.page {
                // Nobody sends meanwhile.
                Some(page) => *page == answer.body,
                None => {
                    let messages = answer.json()["messages"].as_array().map(Vec::len);
                    self.page = Some(answer.body);
                    messages == Some(PAGE)
                }
            },
            Kind::Send => memchr::memmem::find(&answer.body, b"\"seq\":").is_some(),
            Kind::UploadText | Kind::UploadPhoto => answer.json()["fileId"].is_string(),
        };
        if good { Ok(()) } else { Err(format!("{} was answered something else", kind.name()).into()) }
    }
}

fn uploading<'a>((body, content_type): &'a (Vec<u8>, &'static str)) -> Request<'a> {
    Request { method: "POST", path: "/api/upload", token: None, content_type, body }
}

fn tell(kind: Kind, count: &Count, cpu: f64, seconds: f64, report: &mut Report) {
    let name = |what: &str| format!("{}: {what}", kind.name());
    let answered = count.times.count();
    let goal = if kind == Kind::Login { Goal::None } else { Goal::Most(20.0) };
    report.add_with_goal(&name("p95 in ms"), count.times.percentile(95.0) / 1e3, "ms", goal);
    report.add_times(kind.name(), &count.times, &[50.0, 95.0, 99.0]);
    report.add(&name("answered"), answered as f64, "");
    report.add(&name("answered a second"), answered as f64 / seconds, "/s");
    report.add(&name("CPU each"), cpu * 1e6 / answered.max(1) as f64, "us");
    report.add(&name("told to come again later"), count.put_off as f64, "");
    report.add(&name("failed"), count.failed as f64, "");
    report.failed += count.failed;
    if let Some(example) = &count.example {
        eprintln!("{}: {example}", kind.name());
    }
}
