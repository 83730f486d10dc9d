//! The effective configuration as text, for `parlor config show`: a valid file again, without secrets.

use secrecy::SecretString;
use toml::Table;

use super::Config;
use super::schema::Schema;
use super::secret_files::other_form;

/// The column of the comments that name the layers, where the values leave it free.
const COLUMN: usize = 48;

impl Config {
    /// Every setting as TOML, with secrets as `<redacted>`, and with the layer of each value in a comment.
    pub fn to_toml_redacted(&self) -> String {
        let mut shown = self.clone();
        let mut in_files = Vec::new();
        // What was read from a file is not set a second time, so that the text is a valid file again.
        if shown.auth.jwt_secret_file.is_some() {
            shown.auth.jwt_secret = SecretString::default();
            in_files.push("auth.jwt_secret");
        }
        if shown.auth.previous_jwt_secret_file.is_some() {
            shown.auth.previous_jwt_secret = None;
            in_files.push("auth.previous_jwt_secret");
        }
        if shown.database.url_file.is_some() {
            shown.database.url = "".into();
            in_files.push("database.url");
        }
        let text = match toml::to_string(&shown) {
            Ok(text) => text,
            // Only numbers beyond TOML's range, which no layer can give.
            Err(error) => return format!("# The configuration cannot be shown as TOML: {error}\n"),
        };
        let layer = |setting: &str| match other_form(setting).filter(|_| in_files.contains(&setting)) {
            Some(file) => format!("see {file}"),
            None => self.origins.layer(setting, self.mode),
        };
        format!("# The effective configuration in {} mode.\n\n{}", self.mode, with_layers(&text, self, layer))
    }
}

/// Adds the layer to each line that begins a setting.
fn with_layers(text: &str, config: &Config, layer: impl Fn(&str) -> String) -> String {
    let schema = Schema::of(config.mode);
    let mut section = "";
    let mut lines = String::with_capacity(text.len() * 2);
    for line in text.lines() {
        let setting = match line.strip_prefix('[') {
            // A list of tables, such as the issuers.
            Some(rest) if rest.starts_with('[') => Some(rest.trim_matches(['[', ']']).to_owned()),
            Some(rest) => {
                section = rest.trim_end_matches(']');
                None
            }
            // The first line of several is no TOML by itself. It gets no comment, which would be part of the value.
            None => line
                .split_once(" = ")
                .filter(|_| line.parse::<Table>().is_ok())
                .map(|(key, _)| format!("{section}.{key}")),
        };
        match setting.filter(|setting| schema.default_of(setting).is_some()) {
            Some(setting) => {
                let layer = layer(&setting).replace(char::is_control, " ");
                lines.push_str(&format!("{line:<COLUMN$} # {layer}\n"));
            }
            None => {
                lines.push_str(line);
                lines.push('\n');
            }
        }
    }
    lines
}
