//! When people are told of, and as what.

use super::*;
use proptest::prelude::*;

/// The tests' hour of the day is their time since the beginning.
fn day(now: Duration) -> Timestamp {
    Timestamp::from_millis(i64::try_from(now.as_millis()).unwrap())
}

fn at(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn session(number: u8) -> SessionId {
    SessionId::parse(&format!("s{number}")).unwrap()
}

fn online() -> Presence {
    Presence { status: Status::Online, text: StatusText::default(), last_seen: None }
}

/// Somebody with one session, of which others know.
fn somebody() -> Person {
    let mut person = Person::new(KeptPresence::default());
    person.connect(&session(0), at(0), day(at(0)));
    assert_eq!(person.take_news(at(0)), Some(PresenceNews { others: Some(online()), own: None }));
    person
}

#[test]
fn going_is_told_after_the_grace_and_coming_back_within_it_is_not_told() {
    let mut person = somebody();
    person.disconnect(&session(0), at(10_000), day(at(10_000)));
    assert_eq!(person.take_news(at(14_999)), None);
    person.connect(&session(1), at(14_999), day(at(14_999)));
    assert_eq!(person.take_news(at(60_000)), None);
    person.disconnect(&session(1), at(60_000), day(at(60_000)));
    assert_eq!(person.next(at(60_000)), Some(at(65_000)));
    let offline = Presence::offline(Some(day(at(60_000))));
    assert_eq!(person.take_news(at(65_000)), Some(PresenceNews { others: Some(offline), own: None }));
    let kept = KeptPresence { last_seen: Some(day(at(60_000))), ..KeptPresence::default() };
    assert_eq!(person.take_unsaved(at(65_000)), Some(kept));
    assert!(!person.is_forgettable(at(65_999)), "within a second of an event another one would follow");
    assert!(person.is_forgettable(at(66_000)));
}

#[test]
fn turning_invisible_looks_exactly_like_going() {
    let (mut going, mut hiding) = (somebody(), somebody());
    going.disconnect(&session(0), at(10_000), day(at(10_000)));
    hiding.set(&session(0), Availability::Invisible, None, at(10_000), day(at(10_000)));
    for millis in (10_000..20_000).step_by(100) {
        let (gone, hidden) = (going.take_news(at(millis)), hiding.take_news(at(millis)));
        assert_eq!(gone.and_then(|news| news.others), hidden.and_then(|news| news.others), "{millis}");
        assert_eq!(going.seen_by_others(at(millis)), hiding.seen_by_others(at(millis)), "{millis}");
    }
    assert_eq!(hiding.own().status, Status::Invisible);
    // Going for good, still invisible, changes nothing that others see.
    hiding.disconnect(&session(0), at(30_000), day(at(30_000)));
    assert_eq!(hiding.take_news(at(40_000)), None);
    assert_eq!(hiding.seen_by_others(at(40_000)), Presence::offline(Some(day(at(10_000)))));
}

#[test]
fn a_mode_holds_on_later_sessions_until_another_status_is_set() {
    let kept = KeptPresence { mode: PresenceMode::Invisible, ..KeptPresence::default() };
    let mut person = Person::new(kept);
    person.connect(&session(0), at(0), day(at(0)));
    assert_eq!(person.take_news(at(0)), None);
    assert_eq!(person.seen_by_others(at(0)), Presence::offline(None));
    person.set(&session(0), Availability::Online, None, at(2_000), day(at(2_000)));
    assert_eq!(
        person.take_news(at(2_000)),
        Some(PresenceNews { others: Some(online()), own: Some(online()) })
    );
}

/// The same thing in the plainest way: everything that ever happened, looked through at each question.
#[derive(Default)]
struct Model {
    states: Vec<(Duration, State)>,
}

#[derive(Clone, Default)]
struct State {
    away_by_session: std::collections::BTreeMap<u8, bool>,
    mode: PresenceMode,
    text: StatusText,
}

impl State {
    fn own_status(&self) -> Option<Status> {
        if self.away_by_session.is_empty() {
            return None;
        }
        Some(match self.mode {
            PresenceMode::Invisible => Status::Invisible,
            PresenceMode::Dnd => Status::Dnd,
            PresenceMode::Available if self.away_by_session.values().all(|away| *away) => Status::Away,
            PresenceMode::Available => Status::Online,
        })
    }

    fn looks(&self) -> Option<Presence> {
        let status = self.own_status().filter(|status| *status != Status::Invisible)?;
        Some(Presence { status, text: self.text.clone(), last_seen: None })
    }
}

impl Model {
    fn change(&mut self, now: Duration, change: impl FnOnce(&mut State)) {
        let mut state = self.states.last().map(|(_, state)| state.clone()).unwrap_or_default();
        change(&mut state);
        self.states.push((now, state));
    }

    fn seen_by_others(&self, now: Duration) -> Presence {
        let Some(last) = self.states.iter().rposition(|(_, state)| state.looks().is_some()) else {
            return Presence::offline(None);
        };
        match self.states.get(last + 1) {
            Some((went, _)) if now >= *went + PRESENCE_GRACE => Presence::offline(Some(day(*went))),
            _ => self.states[last].1.looks().unwrap(),
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Connect(u8),
    Disconnect(u8),
    Set(u8, Availability, Option<&'static str>),
    Look,
}

fn any_step() -> impl Strategy<Value = Step> {
    use Availability::{Away, Dnd, Invisible, Online};
    let availability = prop_oneof![Just(Online), Just(Away), Just(Dnd), Just(Invisible)];
    let text = prop_oneof![Just(None), Just(Some("")), Just(Some("lunch"))];
    prop_oneof![
        (0..4u8).prop_map(Step::Connect),
        (0..4u8).prop_map(Step::Disconnect),
        (0..4u8, availability, text).prop_map(|(session, set, text)| Step::Set(session, set, text)),
        Just(Step::Look),
    ]
}

fn pauses() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(PRESENCE_GRACE.as_millis() as u64), 1..1_500u64, 1..20_000u64]
}

proptest! {
    #[test]
    fn merging_agrees_with_looking_through_all_that_ever_happened(
        steps in prop::collection::vec((pauses(), any_step()), 1..60),
    ) {
        let (mut person, mut model) = (Person::new(KeptPresence::default()), Model::default());
        let (mut now, mut told, mut told_at) = (Duration::ZERO, Presence::offline(None), None);
        let mut own_told: Option<Presence> = None;
        let mut hear = |person: &mut Person, model: &Model, now: Duration| {
            if let Some(news) = person.take_news(now) {
                assert!(told_at.is_none_or(|before| now >= before + PRESENCE_EVERY), "two events a second");
                told_at = Some(now);
                if let Some(own) = news.own {
                    own_told = Some(own);
                }
                if let Some(others) = news.others {
                    assert_eq!(others, model.seen_by_others(now));
                    told = others;
                }
            }
            told.clone()
        };
        for (pause, step) in steps {
            now += at(pause);
            let text = |text: Option<&str>| text.map(|text| StatusText::parse(text).unwrap());
            match step {
                Step::Connect(number) => {
                    let is_new = model.states.last().is_none_or(|(_, state)| {
                        !state.away_by_session.contains_key(&number)
                    });
                    if is_new {
                        person.connect(&session(number), now, day(now));
                        model.change(now, |state| {
                            state.away_by_session.insert(number, false);
                        });
                    }
                }
                Step::Disconnect(number) => {
                    person.disconnect(&session(number), now, day(now));
                    model.change(now, |state| {
                        state.away_by_session.remove(&number);
                    });
                }
                Step::Set(number, set, said) => {
                    person.set(&session(number), set, text(said), now, day(now));
                    model.change(now, |state| {
                        let Some(away) = state.away_by_session.get_mut(&number) else { return };
                        *away = set == Availability::Away;
                        state.mode = match set {
                            Availability::Dnd => PresenceMode::Dnd,
                            Availability::Invisible => PresenceMode::Invisible,
                            Availability::Online | Availability::Away => PresenceMode::Available,
                        };
                        state.text = text(said).unwrap_or_else(|| state.text.clone());
                    });
                }
                Step::Look => drop(hear(&mut person, &model, now)),
            }
            prop_assert_eq!(person.seen_by_others(now), model.seen_by_others(now));
            let own = model.states.last().and_then(|(_, state)| state.own_status());
            prop_assert_eq!(person.own().status, own.unwrap_or(Status::Offline));
        }
        // Whoever acts only when told to, learns in the end what is true.
        let mut turns = 0;
        while let Some(next) = person.next(now) {
            now = now.max(next);
            hear(&mut person, &model, now);
            person.take_unsaved(now);
            turns += 1;
            prop_assert!(turns < 10, "nothing comes to rest");
            if person.is_forgettable(now) {
                break;
            }
        }
        let last = hear(&mut person, &model, now);
        prop_assert_eq!(last, model.seen_by_others(now));
    }
}
