//! What the table shows and what its keys mean: no terminal, no engine.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde_json::Value;

use super::{Key, Reading};
use crate::commands::container::stats::pair;
use crate::parse::size;

/// A container.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Row {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: String,
    /// `Up 3 minutes`.
    pub status: String,
    /// Since when, in seconds since 1970.
    pub created: i64,
    /// Whether it runs.
    pub runs: bool,
    /// What it uses; none while that is not known.
    pub reading: Option<Reading>,
}

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Verb {
    /// Leave.
    Quit,
    /// Show the logs.
    Logs(String),
    /// Open a shell.
    Shell(String),
    /// Stop.
    Stop(Row),
    /// Restart.
    Restart(Row),
    /// Kill.
    Kill(Row),
}

impl Verb {
    /// The container that changes.
    pub fn row(&self) -> Option<&Row> {
        match self {
            Verb::Stop(row) | Verb::Restart(row) | Verb::Kill(row) => Some(row),
            Verb::Quit | Verb::Logs(_) | Verb::Shell(_) => None,
        }
    }

    fn question(&self) -> String {
        let word = match self {
            Verb::Stop(_) => "Stop",
            Verb::Restart(_) => "Restart",
            Verb::Kill(_) => "Kill",
            Verb::Quit | Verb::Logs(_) | Verb::Shell(_) => return String::new(),
        };
        format!("{word} {}? [y/N]", self.row().map_or("", |row| row.name.as_str()))
    }
}

/// Columns: title, width, whether numbers stand in it.
const COLUMNS: [(&str, usize, bool); 9] = [
    ("NAME", 20, false),
    ("IMAGE", 20, false),
    ("CPU %", 8, true),
    ("MEM USAGE / LIMIT", 21, true),
    ("MEM %", 7, true),
    ("NET I/O", 19, true),
    ("BLOCK I/O", 19, true),
    ("PIDS", 5, true),
    ("STATUS", 20, false),
];

/// What is typed at the moment.
#[derive(Debug, Clone, PartialEq, Default)]
enum Mode {
    #[default]
    Table,
    Filter,
    Question(Verb),
}

/// The table.
#[derive(Debug, Default)]
pub struct Board {
    rows: Vec<Row>,
    watched: BTreeSet<String>,
    chosen: String,
    sorted_by: Sort,
    filter: String,
    all: bool,
    mode: Mode,
    said: String,
    /// Why the engine does not answer, as long as it does not.
    absent: String,
}

/// The column that orders the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sort(usize);

impl Default for Sort {
    /// The busiest first.
    fn default() -> Self {
        Sort(2)
    }
}

impl Board {
    /// Takes the engine's list; what is known of a container stays.
    pub fn take_list(&mut self, list: &[Value]) {
        self.absent.clear();
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        let old = std::mem::take(&mut self.rows);
        self.rows = list
            .iter()
            .map(|c| {
                let id = text(&c["Id"]);
                let reading = old.iter().find(|row| row.id == id).and_then(|row| row.reading);
                Row {
                    name: text(&c["Names"][0]).trim_start_matches('/').to_owned(),
                    image: text(&c["Image"]),
                    status: text(&c["Status"]),
                    created: c["Created"].as_i64().unwrap_or_default(),
                    runs: c["State"] != "exited" && c["State"] != "created",
                    reading,
                    id,
                }
            })
            .collect();
    }

    /// Takes what a container uses; nothing: it has ended.
    pub fn take_reading(&mut self, id: &str, reading: Option<Reading>) {
        if reading.is_none() {
            self.watched.remove(id);
        }
        if let Some(row) = self.rows.iter_mut().find(|row| row.id == id) {
            row.reading = reading;
        }
    }

    /// Running containers whose readings nobody has asked for; from now on somebody does.
    pub fn unwatched(&mut self) -> Vec<String> {
        let new: Vec<String> = self
            .rows
            .iter()
            .filter(|r| r.runs && !self.watched.contains(&r.id))
            .map(|r| r.id.clone())
            .collect();
        self.watched.extend(new.iter().cloned());
        new
    }

    /// Shows a sentence below the table, until the next key.
    pub fn say(&mut self, text: String) {
        self.said = text;
    }

    /// Shows that the engine does not answer, until it does.
    pub fn miss(&mut self, why: String) {
        self.absent = why;
    }

    /// Whether stopped containers are wanted.
    pub fn shows_all(&self) -> bool {
        self.all
    }

    /// The rows that are shown, in order.
    pub fn rows(&self) -> Vec<&Row> {
        let filter = self.filter.to_lowercase();
        let mut rows: Vec<&Row> = self
            .rows
            .iter()
            .filter(|row| [&row.name, &row.image].iter().any(|text| text.to_lowercase().contains(&filter)))
            .collect();
        rows.sort_by(|a, b| order(self.sorted_by.0, a, b).then_with(|| a.name.cmp(&b.name)));
        rows
    }

    /// What a key means now.
    pub fn press(&mut self, key: Key) -> Option<Verb> {
        if key == Key::Interrupt {
            return Some(Verb::Quit);
        }
        match std::mem::take(&mut self.mode) {
            Mode::Question(verb) => matches!(key, Key::Letter('y' | 'Y')).then_some(verb),
            Mode::Filter => {
                self.type_filter(key);
                None
            }
            Mode::Table => self.command(key),
        }
    }

    fn type_filter(&mut self, key: Key) {
        match key {
            Key::Enter => return,
            Key::Escape => return self.filter.clear(),
            Key::Erase => drop(self.filter.pop()),
            Key::Letter(letter) => self.filter.push(letter),
            _ => {}
        }
        self.mode = Mode::Filter;
    }

    fn command(&mut self, key: Key) -> Option<Verb> {
        let columns = COLUMNS.len();
        self.said.clear();
        match key {
            Key::Letter('q') => return Some(Verb::Quit),
            Key::Letter('/') => self.mode = Mode::Filter,
            Key::Escape => self.filter.clear(),
            Key::Letter('a') => self.all = !self.all,
            Key::Letter('<') => self.sorted_by.0 = (self.sorted_by.0 + columns - 1) % columns,
            Key::Letter('>') => self.sorted_by.0 = (self.sorted_by.0 + 1) % columns,
            Key::Up => self.walk(-1),
            Key::Down => self.walk(1),
            Key::Letter(letter) => return self.deed(letter),
            _ => {}
        }
        None
    }

    fn walk(&mut self, by: isize) {
        let ids: Vec<String> = self.rows().iter().map(|row| row.id.clone()).collect();
        let at = ids.iter().position(|id| *id == self.chosen).unwrap_or(0);
        let at = at.saturating_add_signed(by).min(ids.len().saturating_sub(1));
        self.chosen = ids.get(at).cloned().unwrap_or_default();
    }

    fn chosen(&self) -> Option<Row> {
        let rows = self.rows();
        rows.iter().find(|row| row.id == self.chosen).or(rows.first()).map(|row| (*row).clone())
    }

    fn deed(&mut self, letter: char) -> Option<Verb> {
        let row = self.chosen()?;
        let verb = match letter {
            'l' => return Some(Verb::Logs(row.id)),
            'e' => return Some(Verb::Shell(row.id)),
            's' => Verb::Stop(row.clone()),
            'r' => Verb::Restart(row.clone()),
            'k' => Verb::Kill(row.clone()),
            _ => return None,
        };
        // The question is about this one, whatever moves meanwhile.
        self.chosen.clone_from(&row.id);
        self.mode = Mode::Question(verb);
        None
    }

    /// The table as lines of text.
    pub fn table(&self) -> Vec<String> {
        let mut lines = vec![line(&COLUMNS.map(|(title, ..)| title.to_owned()))];
        lines.extend(self.rows().into_iter().map(|row| line(&cells(row))));
        lines
    }

    /// The table with colours for a screen of this size: head, rows around the chosen one, and what the keys do.
    pub fn picture(&self, height: usize, width: usize) -> Vec<String> {
        let cut = |text: &str| text.chars().filter(|c| !c.is_control()).take(width).collect::<String>();
        let rows = self.rows();
        let at = rows.iter().position(|row| row.id == self.chosen).unwrap_or(0);
        let room = height.saturating_sub(4).max(1);
        let from = (at + 1).saturating_sub(room);
        let mut lines = vec![
            cut(&format!(
                "{} of {} containers, by {}{}",
                rows.len(),
                self.rows.len(),
                COLUMNS[self.sorted_by.0].0,
                if self.filter.is_empty() { String::new() } else { format!(", with {:?}", self.filter) }
            )),
            format!("\x1b[1m{}", cut(&line(&COLUMNS.map(|(title, ..)| title.to_owned())))),
        ];
        for (number, row) in rows.iter().enumerate().skip(from).take(room) {
            let text = cut(&line(&cells(row)));
            let colour = if number == at {
                "\x1b[7m"
            } else if row.runs {
                ""
            } else {
                "\x1b[2m"
            };
            lines.push(format!("{colour}{text}"));
        }
        // The last line is for what is asked and said; a screen of two lines shows that and the count.
        lines.resize(height.saturating_sub(1), String::new());
        lines.push(match &self.mode {
            Mode::Filter => cut(&format!("/{}_  (Enter keeps, Esc clears)", self.filter)),
            // Nothing that comes meanwhile may stand where the answer is typed.
            Mode::Question(verb) => format!("\x1b[1m{}", cut(&verb.question())),
            _ if !self.absent.is_empty() => format!("\x1b[1m{}", cut(&self.absent)),
            _ if !self.said.is_empty() => format!("\x1b[1m{}", cut(&self.said)),
            _ => cut("l logs  e shell  s stop  r restart  k kill  < > sort  / filter  a all  q quit"),
        });
        lines
    }
}

fn cells(row: &Row) -> [String; COLUMNS.len()] {
    let known = |text: &dyn Fn(&Reading) -> String| row.reading.as_ref().map_or_else(|| "--".into(), text);
    let percent = |r: &Reading| if r.limit > 0.0 { r.memory / r.limit * 100.0 } else { 0.0 };
    [
        row.name.clone(),
        row.image.clone(),
        known(&|r| format!("{:.2}%", r.cpu)),
        known(&|r| format!("{} / {}", size::binary(r.memory), size::binary(r.limit))),
        known(&|r| format!("{:.2}%", percent(r))),
        known(&|r| pair(r.net.0, r.net.1)),
        known(&|r| pair(r.block.0, r.block.1)),
        known(&|r| format!("{}", r.pids)),
        row.status.clone(),
    ]
}

fn line(cells: &[String; COLUMNS.len()]) -> String {
    let mut out = String::new();
    for (cell, (_, width, _)) in cells.iter().zip(COLUMNS) {
        let cut: String = match cell.chars().count() > width {
            true => cell.chars().take(width - 1).chain(['…']).collect(),
            false => cell.clone(),
        };
        out.push_str(&format!("{cut:<width$}  "));
    }
    out
}

/// Texts from a to z, numbers from the largest, times from the newest.
fn order(column: usize, a: &Row, b: &Row) -> Ordering {
    let number = |of: &dyn Fn(&Reading) -> f64| {
        let value = |row: &Row| row.reading.as_ref().map_or(-1.0, of);
        value(b).total_cmp(&value(a))
    };
    match column {
        0 => a.name.cmp(&b.name),
        1 => a.image.cmp(&b.image),
        2 => number(&|r| r.cpu),
        3 | 4 => number(&|r| r.memory),
        5 => number(&|r| r.net.0 + r.net.1),
        6 => number(&|r| r.block.0 + r.block.1),
        7 => number(&|r| r.pids),
        _ => b.created.cmp(&a.created),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn board() -> Board {
        let mut board = Board::default();
        board.take_list(&[
            json!({"Id": "1", "Names": ["/web"], "Image": "nginx", "Status": "Up 1 minute", "State": "running"}),
            json!({"Id": "2", "Names": ["/db"], "Image": "postgres", "Status": "Up 2 minutes", "State": "running"}),
        ]);
        assert_eq!(board.unwatched(), ["1", "2"]);
        assert!(board.unwatched().is_empty());
        board.take_reading("2", Some(Reading { cpu: 50.0, ..Reading::default() }));
        board
    }

    fn names(board: &Board) -> Vec<&str> {
        board.rows().iter().map(|row| row.name.as_str()).collect()
    }

    #[test]
    fn the_busiest_is_first_until_another_column_is_chosen() {
        let mut board = board();
        board.take_reading("1", Some(Reading { cpu: 1.0, memory: 5.0, ..Reading::default() }));
        assert_eq!(names(&board), ["db", "web"]);
        assert_eq!(board.press(Key::Letter('>')), None);
        assert_eq!(names(&board), ["web", "db"]);
        assert!(board.table()[0].starts_with("NAME ") && board.table()[1].starts_with("web "));
    }

    #[test]
    fn what_ends_a_container_is_asked_first_and_means_the_one_that_was_named() {
        let mut board = board();
        assert_eq!(board.press(Key::Letter('s')), None);
        assert!(board.picture(10, 100).last().unwrap().contains("Stop db? [y/N]"));
        board.take_reading("1", Some(Reading { cpu: 99.0, ..Reading::default() }));
        board.say("web stopped".into());
        assert!(board.picture(10, 100).last().unwrap().contains("Stop db? [y/N]"));
        match board.press(Key::Letter('y')) {
            Some(Verb::Stop(row)) => assert_eq!(row.name, "db"),
            other => panic!("{other:?}"),
        }
        board.press(Key::Letter('k'));
        assert_eq!(board.press(Key::Letter('n')), None);
        assert_eq!(board.press(Key::Letter('q')), Some(Verb::Quit));
    }

    #[test]
    fn an_engine_that_has_gone_is_told_until_it_is_back() {
        let mut board = board();
        let last = |board: &Board| board.picture(10, 100).pop().unwrap();
        board.miss("Cannot connect".into());
        board.press(Key::Down);
        assert!(last(&board).contains("Cannot connect"));
        board.take_list(&[]);
        assert!(last(&board).starts_with("l logs"));
    }

    #[test]
    fn a_filter_is_typed_and_letters_are_no_commands_meanwhile() {
        let mut board = board();
        for key in "/web".chars() {
            assert_eq!(board.press(Key::Letter(key)), None);
        }
        assert_eq!(names(&board), ["web"]);
        board.press(Key::Enter);
        assert_eq!(board.press(Key::Letter('l')), Some(Verb::Logs("1".into())));
        board.press(Key::Escape);
        assert_eq!(names(&board).len(), 2);
    }

    #[test]
    fn the_chosen_row_stays_on_a_small_screen() {
        let mut board = board();
        board.press(Key::Down);
        let picture = board.picture(5, 40);
        assert_eq!(picture.len(), 5);
        assert!(picture[2].starts_with("\x1b[7mweb"), "{picture:?}");
        for height in 1..4 {
            assert_eq!(board.picture(height, 10).len(), height);
        }
    }
}
