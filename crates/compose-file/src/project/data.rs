use std::collections::BTreeMap;

/// A value that no attribute gives a type to.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// Nothing.
    Null,
    /// A truth value.
    Switch(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Number(f64),
    /// Text.
    Text(String),
    /// A sequence.
    List(Vec<Data>),
    /// A mapping.
    Map(BTreeMap<String, Data>),
}
