//! Names of gateways, networks, resources and providers.

use super::violation::quoted;

/// Most characters of a name: a DNS label's length, so that names can become one.
const LONGEST: usize = 63;

/// Checks that a name is made of `a-z`, `0-9`, `-` and `.`, starts with a letter or digit and has
/// 1 to 63 characters.
///
/// # Errors
/// A sentence that says which of these rules is broken.
pub fn check(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("is empty; give a name".to_owned());
    }
    if name.chars().count() > LONGEST {
        return Err(format!("{} is too long; use at most {LONGEST} characters", quoted(name)));
    }
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if let Some(wrong) = name.chars().find(|&c| !allowed(c) && c != '-' && c != '.') {
        let lower = name.to_lowercase();
        let hint = if lower != name && check(&lower).is_ok() {
            format!("; did you mean {lower}?")
        } else {
            "; use lower-case letters, digits, '-' and '.'".to_owned()
        };
        return Err(format!("{} contains {wrong:?}{hint}", quoted(name)));
    }
    if !name.starts_with(allowed) {
        return Err(format!("{} must start with a letter or digit", quoted(name)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn names_are_refused_with_the_rule_they_break() {
        for (name, expected) in [
            ("red", Ok(())),
            ("7.a-b", Ok(())),
            ("", Err("is empty; give a name")),
            ("Red", Err("\"Red\" contains 'R'; did you mean red?")),
            ("r d", Err("\"r d\" contains ' '; use lower-case letters, digits, '-' and '.'")),
            ("-a", Err("\"-a\" must start with a letter or digit")),
            (
                "rot\u{1b}",
                Err("\"rot\\u{1b}\" contains '\\u{1b}'; use lower-case letters, digits, '-' and '.'"),
            ),
        ] {
            assert_eq!(check(name), expected.map_err(ToOwned::to_owned), "{name:?}");
        }
        assert_eq!(check(&"a".repeat(63)), Ok(()));
        assert!(check(&"a".repeat(64)).unwrap_err().contains("use at most 63 characters"));
    }
}
