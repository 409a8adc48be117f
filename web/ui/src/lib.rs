//! The web replay: a pure player, and the pages around it.
//!
//! Invariants: what was recorded reaches the page as text, never as markup; the player knows no browser and is
//! tested natively; pages exist on wasm32 only. Of the project nothing is imported but the HTTP shapes.

pub mod lanes;
pub mod player;
pub mod pointed;
pub mod question;
pub mod sql;
pub mod states;
pub mod steps;
pub mod table;
pub mod text;
pub mod visible;
pub mod window;

#[cfg(target_arch = "wasm32")]
pub mod pages;
