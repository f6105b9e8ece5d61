/// A file of environment values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EnvFile {
    /// Its path.
    pub path: String,
    /// Whether it has to be there.
    pub required: bool,
    /// `raw`: values as they stand; empty: quotes and variables are read.
    pub format: String,
}
