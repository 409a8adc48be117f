//! What a session's statements do to its relations and schemas.

use hansard_policy::catalog::TEMPORARY;
use hansard_policy::{Name, NameChange};

use super::{MAX_RELATIONS, Made, Meaning, Meanings, Names, OPEN, Temporary, Undo, Untold};

impl Names {
    /// Temporary relations come (whether they go with the transaction), or go.
    pub(super) fn change_temporary(&mut self, number: u64, changes: Vec<(String, Option<Temporary>)>) {
        let mut before = Vec::new();
        for (name, change) in changes {
            let old = match change {
                Some(_) if self.temporary.len() >= MAX_RELATIONS && !self.temporary.contains_key(&name) => {
                    self.set_untold(number, Untold { temporary_changed: Some(OPEN), ..self.untold });
                    continue;
                }
                Some(made) => self.temporary.insert(name.clone(), made),
                None => self.temporary.remove(&name),
            };
            if old != change {
                before.push((name, old));
            }
        }
        if !before.is_empty() {
            self.named_by = self.named_by.max(number);
            self.remember(number, Undo::Temporary(before));
        }
    }

    /// A temporary relation is made; IF NOT EXISTS leaves one of that name as it is.
    pub(super) fn make_temporary(&mut self, by: u64, name: &Name, (goes, may_exist, plain): (bool, bool, bool)) {
        if !(may_exist && self.temporary.contains_key(&name.name)) {
            let made = Temporary { goes, plain, by, may_be_gone: false };
            self.change_temporary(by, vec![(name.name.clone(), Some(made))]);
        }
    }

    pub(super) fn make(&mut self, number: u64, schema: &str, name: &str, made: Made) {
        // What has been changed and is not told may hang something on what comes later, too.
        let bare = made.bare.filter(|_| self.untold.changed.is_none());
        let made = Made { bare, ended_at: OPEN, by: number, ..made };
        self.named_by = self.named_by.max(number);
        if self.made >= MAX_RELATIONS {
            return self.set_untold(number, Untold { changed: Some(OPEN), ..self.untold });
        }
        let old = self.relations.entry(name.to_owned()).or_default().insert(schema.to_owned(), made);
        self.made += usize::from(old.is_none());
        self.remember(number, Undo::Relation(schema.to_owned(), name.to_owned(), old));
    }

    /// A relation is made, and it is not known in which schema: of another name nothing is unsure by that.
    fn make_somewhere(&mut self, number: u64, name: &str) {
        self.named_by = self.named_by.max(number);
        if self.somewhere.len() >= MAX_RELATIONS {
            let untold = Untold { changed: Some(OPEN), temporary_changed: Some(OPEN), ..self.untold };
            return self.set_untold(number, untold);
        }
        let old = self.somewhere.insert(name.to_owned(), OPEN);
        self.remember(number, Undo::Somewhere(name.to_owned(), old));
    }

    /// The session has made it, and as a partitioned table.
    pub(super) fn is_partitioned(&self, schema: &str, name: &str) -> bool {
        self.relations.get(name).and_then(|schemas| schemas.get(schema)).is_some_and(|made| made.partitioned)
    }

    /// CASCADE drops what is not told; a temporary relation with it where it is a view, or inherits.
    pub(super) fn drop_dependents(&mut self, number: u64) {
        self.drop_temporary_dependents(number);
        self.set_untold(number, Untold { dropped: Some(OPEN), ..self.untold });
    }

    /// Temporary relations that depend on others may have gone with those.
    pub(super) fn drop_temporary_dependents(&mut self, number: u64) {
        let depends = self.temporary.iter().filter(|(_, made)| !made.plain && !made.may_be_gone);
        let gone = |made: &Temporary| Some(Temporary { may_be_gone: true, ..*made });
        self.change_temporary(number, depends.map(|(name, made)| (name.clone(), gone(made))).collect());
    }

    pub(super) fn make_schema(&mut self, number: u64, schema: &str, exists: bool) {
        if self.schemas.len() >= MAX_RELATIONS {
            return self.set_untold(number, Untold { changed: Some(OPEN), ..self.untold });
        }
        let made = Made { exists, bare: None, partitioned: false, ended_at: OPEN, by: number };
        let old = self.schemas.insert(schema.to_owned(), made);
        self.remember(number, Undo::Schema(schema.to_owned(), old));
    }

    pub(super) fn apply_change(
        &mut self,
        number: u64,
        change: &NameChange,
        meaning: Option<&Meaning>,
        meanings: &Meanings,
    ) {
        let untold = Untold { changed: Some(OPEN), ..self.untold };
        match (change, meaning) {
            (NameChange::Create { name, temporary: true, on_commit_drop, may_exist, bare, .. }, _) => {
                self.make_temporary(number, name, (*on_commit_drop, *may_exist, *bare));
                self.hang_on_temporary(*bare && meanings.bare.is_some());
            }
            (
                NameChange::Create { name, on_commit_drop, may_exist, bare, partitioned, .. },
                Some(Meaning::In(schema)),
            ) => {
                if schema == TEMPORARY {
                    self.make_temporary(number, name, (*on_commit_drop, *may_exist, *bare));
                    self.hang_on_temporary(*bare && meanings.bare.is_some());
                } else {
                    let bare = meanings.bare.filter(|_| *bare);
                    self.make(number, schema, &name.name, Made { bare, partitioned: *partitioned, ..Made::there() });
                }
            }
            (NameChange::Drop { name, cascade }, meaning) => {
                match meaning {
                    Some(Meaning::In(schema)) if schema == TEMPORARY => {
                        // It may have had partitions.
                        if self.temporary.get(&name.name).is_some_and(|made| !made.plain) {
                            self.drop_temporary_dependents(number);
                        }
                        self.change_temporary(number, vec![(name.name.clone(), None)]);
                    }
                    Some(Meaning::In(schema)) => self.make(number, schema, &name.name, Made::gone()),
                    // IF EXISTS, and it does not.
                    Some(Meaning::Nowhere) => {}
                    None => {
                        let made = self.temporary.get(&name.name).map(|made| Temporary { may_be_gone: true, ..*made });
                        self.change_temporary(
                            number,
                            made.map(|made| (name.name.clone(), Some(made))).into_iter().collect(),
                        );
                        self.set_untold(number, Untold { dropped: Some(OPEN), ..self.untold });
                    }
                }
                if meanings.drops_partitions {
                    self.set_untold(number, Untold { partitions: Some(OPEN), ..self.untold });
                }
                if *cascade {
                    self.drop_dependents(number);
                }
            }
            (NameChange::Rename { from, to }, Some(Meaning::In(schema))) => {
                if schema == TEMPORARY {
                    let made = self.temporary.get(&from.name).copied().unwrap_or_default();
                    let made = Temporary { by: number, ..made };
                    self.change_temporary(number, vec![(from.name.clone(), None), (to.clone(), Some(made))]);
                } else {
                    let partitioned = self.is_partitioned(schema, &from.name);
                    self.make(number, schema, &from.name, Made::gone());
                    self.make(number, schema, to, Made { partitioned, ..Made::there() });
                }
            }
            (NameChange::Move { name, schema: to }, Some(Meaning::In(schema))) => {
                let partitioned = self.is_partitioned(schema, &name.name);
                self.make(number, schema, &name.name, Made::gone());
                self.make(number, to, &name.name, Made { partitioned, ..Made::there() });
            }
            (NameChange::Rename { .. } | NameChange::Move { .. }, Some(Meaning::Nowhere)) => {}
            (NameChange::CreateSchema(Some(schema)), _) => self.make_schema(number, schema, true),
            (NameChange::CreateSchema(None), _) => match self.current_role().map(str::to_owned) {
                Some(role) => self.make_schema(number, &role, true),
                None => self.set_untold(number, untold),
            },
            (NameChange::DropSchema { name, .. }, _) => {
                self.make_schema(number, name, false);
                self.drop_dependents(number);
            }
            (NameChange::DropDependents, _) => self.drop_dependents(number),
            (NameChange::RenameSchema { from, to }, _) => {
                self.make_schema(number, from, false);
                self.make_schema(number, to, true);
                self.set_untold(number, untold);
            }
            (NameChange::Attached(_), Some(Meaning::In(schema))) if schema != TEMPORARY => {}
            (NameChange::Attached(_), Some(Meaning::Nowhere)) | (NameChange::Settings, _) => {}
            (NameChange::Attached(_), _) => self.hang_on_temporary(false),
            (NameChange::Unknown, _) => {
                self.attached_to_temporary = true;
                self.set_untold(number, Untold::anything());
            }
            (NameChange::Rename { from: name, .. } | NameChange::Move { name, .. }, _) => {
                let known = !self.temporary.contains_key(&name.name);
                let temporary_changed = if known { self.untold.temporary_changed } else { Some(OPEN) };
                self.set_untold(number, Untold { temporary_changed, dropped: Some(OPEN), ..untold });
            }
            (NameChange::Create { name, bare, .. }, _) => {
                self.make_somewhere(number, &name.name);
                self.hang_on_temporary(*bare && meanings.bare.is_some());
            }
        }
    }
}
