//! What names mean inside of functions and code.

use std::collections::HashMap;

use super::{Resolve, Resolved};
use crate::catalog::{Catalog, Function, Text};
use crate::{Name, schemas_of_setting};

/// Names inside a function that has a search path of its own, or runs as its owner.
pub(super) struct Within<'a> {
    catalog: &'a Catalog,
    caller: &'a dyn Resolve,
    path: Option<Vec<Text>>,
    setting: Option<Vec<String>>,
    role: Option<String>,
    creation: Option<Text>,
}

impl Resolve for Within<'_> {
    fn relation(&self, name: &Name) -> Resolved {
        let path = self.path.as_deref();
        self.relation_on(path, name)
            .unwrap_or_else(|| super::resolve(self.catalog, path, &|name| self.caller.temporary(name), name))
    }

    fn relation_on(&self, path: Option<&[Text]>, name: &Name) -> Option<Resolved> {
        self.caller.relation_on(path, name)
    }

    fn path(&self) -> Option<&[Text]> {
        self.path.as_deref()
    }

    fn setting(&self) -> Option<&[String]> {
        self.setting.as_deref()
    }

    fn temporary(&self, name: &str) -> Option<bool> {
        self.caller.temporary(name)
    }

    fn role(&self) -> Option<&str> {
        self.role.as_deref()
    }

    fn creation(&self) -> Option<Text> {
        self.creation.clone()
    }

    fn is_origin(&self) -> bool {
        self.caller.is_origin()
    }
}

/// Names that were looked up on a path that is not known any more.
pub(super) struct OnAnyPath<'a>(pub(super) &'a dyn Resolve);

impl Resolve for OnAnyPath<'_> {
    fn relation(&self, name: &Name) -> Resolved {
        self.0.relation(name)
    }

    fn path(&self) -> Option<&[Text]> {
        None
    }

    fn setting(&self) -> Option<&[String]> {
        None
    }

    fn temporary(&self, name: &str) -> Option<bool> {
        self.0.temporary(name)
    }

    fn role(&self) -> Option<&str> {
        self.0.role()
    }

    fn creation(&self) -> Option<Text> {
        None
    }
}

/// Names inside a body that makes temporary relations.
pub(super) struct InBody<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) around: &'a dyn Resolve,
    /// Temporary relations that it makes: certainly, or perhaps.
    pub(super) temporary: &'a HashMap<&'a str, bool>,
}

impl Resolve for InBody<'_> {
    fn relation(&self, name: &Name) -> Resolved {
        if name.schema.is_some() || !self.temporary.contains_key(name.name.as_str()) {
            return self.around.relation(name);
        }
        super::resolve(self.catalog, self.path(), &|name| self.temporary(name), name)
    }

    fn relation_on(&self, path: Option<&[Text]>, name: &Name) -> Option<Resolved> {
        let own = name.schema.is_none() && self.temporary.contains_key(name.name.as_str());
        if own { None } else { self.around.relation_on(path, name) }
    }

    fn path(&self) -> Option<&[Text]> {
        self.around.path()
    }

    fn setting(&self) -> Option<&[String]> {
        self.around.setting()
    }

    fn temporary(&self, name: &str) -> Option<bool> {
        match self.temporary.get(name) {
            Some(true) => Some(true),
            Some(false) => None,
            None => self.around.temporary(name),
        }
    }

    fn role(&self) -> Option<&str> {
        self.around.role()
    }

    fn creation(&self) -> Option<Text> {
        self.around.creation()
    }

    fn is_origin(&self) -> bool {
        self.around.is_origin()
    }
}

/// Names inside a function with a search path or a role of its own.
pub(super) fn within<'b>(
    catalog: &'b Catalog,
    function: &Function,
    own: Option<&str>,
    caller: &'b dyn Resolve,
) -> Within<'b> {
    let role = if function.security_definer {
        catalog.role(function.owner).map(|role| role.name.to_string())
    } else {
        caller.role().map(str::to_owned)
    };
    let setting = match own {
        Some(value) => Some(schemas_of_setting(value)),
        None => caller.setting().map(<[String]>::to_vec),
    };
    let path = setting.as_ref().and_then(|setting| catalog.path(setting, role.as_deref()));
    let creation = setting.as_ref().and_then(|setting| catalog.creation_schema(setting, role.as_deref()));
    Within { catalog, caller, path, setting, role, creation }
}
