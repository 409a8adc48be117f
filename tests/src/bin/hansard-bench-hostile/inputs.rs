//! What a job may send to make its record dear: each input is an opening, the same messages again and again, and an end.

mod protocol;
mod repeated;
mod texts;

use hansard_tests::wire::{query, sync, terminate};

/// One kind of bad input.
pub(crate) struct Input {
    pub(crate) name: &'static str,
    /// Sent once, first.
    opening: Vec<u8>,
    /// How often [`Input::unit`] follows.
    times: usize,
    unit: Unit,
    /// Sent once, last, before the session terminates.
    closing: Vec<u8>,
}

/// The messages of the n-th time.
type Unit = Box<dyn Fn(usize) -> Vec<u8> + Send>;

impl Input {
    fn new(name: &'static str, times: usize, unit: impl Fn(usize) -> Vec<u8> + Send + 'static) -> Input {
        Input { name, opening: Vec::new(), times, unit: Box::new(unit), closing: Vec::new() }
    }

    fn opened_by(mut self, messages: &[Vec<u8>]) -> Input {
        self.opening = messages.concat();
        self
    }

    fn closed_by(mut self, messages: &[Vec<u8>]) -> Input {
        self.closing = messages.concat();
        self
    }

    /// Within one transaction.
    fn in_a_transaction(self) -> Input {
        self.opened_by(&[query("BEGIN")]).closed_by(&[sync(), query("COMMIT")])
    }

    /// All that is sent, in pieces of about 64 KiB or of one unit, whichever is more.
    pub(crate) fn pieces(self) -> impl Iterator<Item = Vec<u8>> + Send {
        let Input { opening, times, unit, closing, .. } = self;
        let mut units = (0..times).map(unit);
        let mut begun = Some(opening);
        let mut end = Some([closing, terminate()].concat());
        std::iter::from_fn(move || {
            let mut piece = begun.take().unwrap_or_default();
            while piece.len() < 64 * 1024 {
                match units.next() {
                    Some(bytes) => piece.extend(bytes),
                    None => {
                        piece.extend(end.take().unwrap_or_default());
                        break;
                    }
                }
            }
            Some(piece).filter(|piece| !piece.is_empty())
        })
    }
}

/// All inputs, or those whose name contains `part`.
pub(crate) fn named(part: Option<&str>) -> Vec<Input> {
    let all = repeated::inputs().into_iter().chain(protocol::inputs()).chain(texts::inputs());
    all.filter(|input| part.is_none_or(|part| input.name.contains(part))).collect()
}

/// `first0,first1,…`, so many of them.
fn numbered(first: &str, count: usize) -> String {
    (0..count).map(|n| format!("{first}{n}")).collect::<Vec<_>>().join(",")
}

/// What inputs work on.
pub(crate) fn schema() -> String {
    let tables: String = (0..200).map(|n| format!("CREATE TABLE public.t{n} (n int);")).collect();
    format!(
        "CREATE TABLE public.rankings (id int PRIMARY KEY, score int NOT NULL);
         INSERT INTO public.rankings SELECT n, 0 FROM generate_series(1, 5) AS n;
         CREATE TABLE public.lines (n int);
         CREATE TABLE public.wide ({});
         CREATE TABLE public.{} (a int);
         {tables}
         GRANT ALL ON ALL TABLES IN SCHEMA public TO public;",
        (0..1_500).map(|n| format!("c{n} int")).collect::<Vec<_>>().join(","),
        "n".repeat(63)
    )
}
