//! Catalogs as they are saved: each is decoded once in a process, though every shard, and every question, begins with it.
//!
//! Invariant: what is shared is what the saved text says, to the letter.

use std::ops::Deref;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};

use hansard_policy::catalog::{Catalog, Object, Oid};
use hansard_policy::reach::values_may_run_code;
use hashlink::LruCache;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Most bytes of saved texts that are kept with what they say.
const MAX_KEPT: usize = 32 * 1024 * 1024;

/// Longest catalog in JSON that is read, in bytes.
const MAX_JSON: usize = 1024 * 1024 * 1024;

const LEVEL: i32 = 1;

/// A catalog that others may have, too.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    catalog: Arc<Catalog>,
    /// As it is saved, where it was since it changed.
    packed: Option<Arc<str>>,
    /// See [`Shared::values_may_run_code`]: it looks at all types and casts.
    values_may_run_code: OnceLock<bool>,
}

/// Texts, and the catalogs that they are.
struct Kept {
    catalogs: LruCache<Arc<str>, Arc<Catalog>>,
    bytes: usize,
}

static KEPT: LazyLock<Mutex<Kept>> =
    LazyLock::new(|| Mutex::new(Kept { catalogs: LruCache::new_unbounded(), bytes: 0 }));

impl Kept {
    /// The catalog of a text: the one that is kept, or else this.
    fn share(&mut self, text: &Arc<str>, catalog: Arc<Catalog>) -> Arc<Catalog> {
        if let Some(kept) = self.catalogs.get(text) {
            return kept.clone();
        }
        self.bytes += text.len();
        self.catalogs.insert(text.clone(), catalog.clone());
        while self.bytes > MAX_KEPT && self.catalogs.len() > 1 {
            let Some((text, _)) = self.catalogs.remove_lru() else { break };
            self.bytes -= text.len();
        }
        catalog
    }
}

fn kept() -> std::sync::MutexGuard<'static, Kept> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    #[cfg(test)]
    pub(super) fn new(catalog: Catalog) -> Shared {
        Shared { catalog: Arc::new(catalog), ..Shared::default() }
    }

    /// For changes.
    pub(super) fn change(&mut self) -> &mut Catalog {
        self.packed = None;
        self.values_may_run_code = OnceLock::new();
        Arc::make_mut(&mut self.catalog)
    }

    /// [`hansard_policy::reach::values_may_run_code`] of it, found out once.
    pub(crate) fn values_may_run_code(&self) -> bool {
        *self.values_may_run_code.get_or_init(|| values_may_run_code(&self.catalog))
    }

    /// Before it is saved: what is as another shard has it is held once.
    pub(super) fn pack(&mut self) {
        if self.packed.is_none() {
            let text: Arc<str> = pack(&self.catalog).into();
            self.catalog = kept().share(&text, self.catalog.clone());
            self.packed = Some(text);
        }
    }
}

impl Deref for Shared {
    type Target = Catalog;

    fn deref(&self) -> &Catalog {
        &self.catalog
    }
}

fn pack(catalog: &Catalog) -> String {
    let objects: Vec<(Oid, &Object)> = catalog.objects().map(|(_, oid, object)| (oid, &**object)).collect();
    let json = serde_json::to_vec(&objects).expect("objects have string keys only");
    hex::encode(zstd::bulk::compress(&json, LEVEL).expect("compressing in memory takes no input that fails"))
}

fn unpack(text: &str) -> Result<Catalog, String> {
    let packed = hex::decode(text).map_err(|error| error.to_string())?;
    let json = zstd::stream::decode_all(&packed[..]).map_err(|error| error.to_string())?;
    if json.len() > MAX_JSON {
        return Err("it is longer than a catalog may be".to_owned());
    }
    let objects: Vec<(Oid, Object)> = serde_json::from_slice(&json).map_err(|error| error.to_string())?;
    Ok(Catalog::of(objects))
}

impl Serialize for Shared {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.packed {
            Some(text) => text.serialize(serializer),
            None => pack(&self.catalog).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Shared {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Shared, D::Error> {
        let text: Arc<str> = String::deserialize(deserializer)?.into();
        let found = kept().catalogs.get(&text).cloned();
        let catalog = match found {
            Some(catalog) => catalog,
            None => {
                let catalog = Arc::new(unpack(&text).map_err(D::Error::custom)?);
                kept().share(&text, catalog)
            }
        };
        Ok(Shared { catalog, packed: Some(text), ..Shared::default() })
    }
}

#[cfg(test)]
mod tests {
    use hansard_policy::catalog::Schema;

    use super::*;

    #[test]
    fn what_values_may_do_is_found_out_again_when_the_catalog_changes() {
        use hansard_policy::catalog::{Type, TypeKind};
        let mut shared = Shared::default();
        assert!(!shared.values_may_run_code());
        let domain = Type { schema: "public".into(), name: "d".into(), kind: TypeKind::Domain, ..Type::default() };
        shared.change().insert(20_000, Object::Type(domain));
        assert!(shared.values_may_run_code());
        shared.pack();
        assert!(shared.values_may_run_code());
    }

    #[test]
    fn what_is_saved_is_decoded_once_and_changes_are_ones_own() {
        let schema = |name: &str| Object::Schema(Schema { name: name.into(), owner: 10, usage: vec![0] });
        let mut one = Shared::new(Catalog::of([(7, schema("once"))]));
        one.pack();
        let saved = serde_json::to_string(&one).unwrap();
        let mut two: Shared = serde_json::from_str(&saved).unwrap();
        assert!(Arc::ptr_eq(&one.catalog, &two.catalog));
        two.change().insert(8, schema("more"));
        assert_eq!((one.len(), two.len()), (1, 2));
        let again: Shared = serde_json::from_str(&serde_json::to_string(&two).unwrap()).unwrap();
        assert_eq!(*again.catalog, *two.catalog);
        assert!(serde_json::from_str::<Shared>("\"28b5\"").is_err());
    }
}
