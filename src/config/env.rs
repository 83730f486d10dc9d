//! The environment as a layer: taking it from the process, and reading text as TOML values. Which variable sets what is
//! left to `layers`.

use toml::Value;

pub(super) const PREFIX: &str = "PARLOR__";

/// This process's environment, for [`Config::load`](super::Config::load). Bytes that are not UTF-8 are replaced, which
/// `load` then refuses, rather than the panic of `std::env::vars`.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
}

/// What the text of an environment variable may mean, the likeliest for this kind of setting first.
pub(super) fn readings(text: &str, default: &Value) -> Vec<Value> {
    let string = || Value::String(text.to_owned());
    let toml = || text.trim().parse::<Value>().ok();
    let list = || {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        Value::Array(items.map(|item| Value::String(item.to_owned())).collect())
    };
    match default {
        // A string first, even if it looks like a number: a password may.
        Value::String(_) => {
            [Some(string()), toml(), text.contains(',').then(list)].into_iter().flatten().collect()
        }
        Value::Array(_) => toml().filter(Value::is_array).into_iter().chain([list()]).collect(),
        _ => toml().into_iter().chain([string()]).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_read_by_the_kind_of_the_default() {
        let strings = |items: &[&str]| Value::Array(items.iter().map(|item| Value::from(*item)).collect());
        let text = Value::from("default");
        let list = strings(&[]);
        for (written, default, first) in [
            ("123", &text, Value::from("123")),
            ("a,b", &text, Value::from("a,b")),
            ("\"quoted\"", &text, Value::from("\"quoted\"")),
            ("a", &list, strings(&["a"])),
            ("a, b,,", &list, strings(&["a", "b"])),
            ("", &list, strings(&[])),
            ("[\"a\", \"b\"]", &list, strings(&["a", "b"])),
            (" true ", &Value::from(false), Value::from(true)),
            ("12", &Value::from(1), Value::from(12)),
            ("twelve", &Value::from(1), Value::from("twelve")),
            ("1\n[auth]\nsignup = false", &Value::from(1), Value::from("1\n[auth]\nsignup = false")),
        ] {
            assert_eq!(readings(written, default).first(), Some(&first), "{written}");
        }
    }
}
