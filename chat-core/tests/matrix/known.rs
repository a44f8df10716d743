//! Which commands the wire knows.

use std::{collections::BTreeSet, fs, path::Path};

use chat_core::{domain::ErrorCode, wire::ClientFrame};

/// Every command that the decoder knows: of all words that its sources quote, those that it takes for a type.
pub(crate) fn commands() -> Vec<String> {
    let wire = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/wire");
    let mut sources = vec![fs::read_to_string(wire.join("client.rs")).unwrap()];
    for file in fs::read_dir(wire.join("client")).unwrap() {
        sources.push(fs::read_to_string(file.unwrap().path()).unwrap());
    }
    let words: BTreeSet<&str> = sources.iter().flat_map(|source| source.split('"')).collect();
    let fits = |word: &&str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    words.into_iter().filter(fits).filter(|word| is_known(word)).map(str::to_owned).collect()
}

/// Whether the decoder knows a type.
fn is_known(word: &str) -> bool {
    let frame = ClientFrame::decode(format!(r#"{{"type":"{word}"}}"#).as_bytes());
    !frame.is_err_and(|error| error.code == ErrorCode::UnknownType)
}
