//! Whose the blobs in an object store elsewhere are.
//!
//! A bucket may be shared, by mistake or on purpose, and what one server does not remember another one does. So each
//! leaves its name beside the blobs, and what nobody remembers is only looked for where there is one name alone.

use std::{io, path::PathBuf};

use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, path::Path};
use tokio::fs;

/// Where the names lie, under the prefix. No blob lies there.
const FOLDER: &str = "chat-files.owners";

/// The claim of one server, or of several that have one store of records.
#[derive(Debug)]
pub(crate) enum Claim {
    /// Under this name.
    Named(String),
    /// Under a random one, kept in this file.
    KeptAt(PathBuf),
}

impl Claim {
    /// Makes the claim, and tells whether it is the only one. Whoever keeps blobs here has made theirs before any of
    /// them is old enough to be taken for nobody's.
    pub(crate) async fn is_alone(&self, store: &dyn ObjectStore) -> io::Result<bool> {
        let own = Path::from_iter([FOLDER, &self.name().await?]);
        let names: Vec<_> = store.list(Some(&Path::from(FOLDER))).try_collect().await?;
        if !names.iter().any(|name| name.location == own) {
            store.put(&own, own.to_string().into()).await?;
        }
        Ok(names.iter().all(|name| name.location == own))
    }

    async fn name(&self) -> io::Result<String> {
        let kept_at = match self {
            Self::Named(name) => return Ok(name.clone()),
            Self::KeptAt(file) => file,
        };
        match fs::read_to_string(kept_at).await {
            Ok(name) => return Ok(name),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let name = format!("{:032x}", u128::from_be_bytes(random));
        // It is there once it is whole.
        let half = kept_at.with_extension("half");
        fs::write(&half, &name).await?;
        fs::File::open(&half).await?.sync_all().await?;
        fs::rename(&half, kept_at).await?;
        Ok(name)
    }
}
