//! The device that shows a credential, as far as the server knows it.

use std::net::IpAddr;

/// The most characters that are kept of a program's name.
const CLIENT: usize = 200;

#[derive(Clone, Debug)]
pub struct Device {
    pub address: IpAddr,
    /// The program, as it names itself (`User-Agent`): printable, at most 200 characters.
    pub client: Option<Box<str>>,
}

impl Device {
    pub fn new(address: IpAddr, client: Option<&str>) -> Self {
        let printable =
            |name: &str| name.chars().filter(|c| !c.is_control()).take(CLIENT).collect::<String>();
        let client = client.map(printable).filter(|name| !name.trim().is_empty());
        Self { address, client: client.map(|name| name.trim().into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_has_a_short_name_that_can_be_shown() {
        let client = |name: &str| Device::new([192, 0, 2, 1].into(), Some(name)).client;
        assert_eq!(client(" Mozilla/5.0\n(X11)\0 ").as_deref(), Some("Mozilla/5.0(X11)"));
        assert_eq!(client(&"é".repeat(300)).map(|name| name.chars().count()), Some(200));
        assert_eq!(client("\u{1} "), None);
    }
}
