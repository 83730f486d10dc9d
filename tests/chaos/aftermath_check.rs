//! What has to be so after the storm, without the bus and without one of the nodes. Pure: records in, violations out.
//!
//! Time is counted in looks of the node that owes something: a busy machine delays its looks, too.

use crate::checker::{Rule, Violation};

/// The most looks that something stored at another node may take without the bus. A node that does not know yet that the bus
/// is gone looks at all rooms with every fourth look. With the default of `cluster.look_every`, four looks are two seconds.
pub const LOOKS: usize = 20;
/// The same for receipts: a node that has told them over the bus does not know before three seconds that nobody has heard
/// that. These are 30 looks here.
pub const LOOKS_FOR_RECEIPTS: usize = 60;
/// The most looks after the end of the lease of a node that is dead until its users are offline: the grace in between is
/// three looks here.
pub const LOOKS_FOR_PRESENCE: usize = 20;

/// Something that had to arrive at a node while the bus was stopped.
#[derive(Clone, Debug)]
pub struct Arrival {
    pub what: &'static str,
    pub node: usize,
    /// The looks that the node had made when it was asked whether there was anything more to tell.
    pub looks: usize,
    pub most: usize,
    /// Whether it was there when the node had answered.
    pub has_come: bool,
}

/// Whom a node shows as online.
#[derive(Clone, Debug)]
pub struct Sighting {
    pub node: usize,
    /// The looks that the node had made since the end of the lease of the dead node.
    pub looks: usize,
    /// Who is shown as online, and is connected to no node that is alive.
    pub ghosts: Vec<String>,
    /// Users of the dead node of whom a connection at this node was not told that they are offline.
    pub untold: Vec<String>,
}

pub fn check_arrivals(arrivals: &[Arrival]) -> Vec<Violation> {
    let late = arrivals.iter().filter(|arrival| !arrival.has_come && arrival.looks > arrival.most);
    let told = |arrival: &Arrival| {
        let Arrival { what, node, looks, .. } = arrival;
        format!("the bus is stopped, and node {node} has not told {what} after {looks} looks")
    };
    late.map(|arrival| Violation { rule: Rule::Deaf, told: told(arrival) }).collect()
}

pub fn check_sightings(sightings: &[Sighting]) -> Vec<Violation> {
    let mut found = Vec::new();
    for Sighting { node, looks, ghosts, untold } in sightings {
        if *looks <= LOOKS_FOR_PRESENCE {
            continue;
        }
        for ghost in ghosts {
            let told =
                format!("node {node} shows {ghost} as online, {looks} looks after the end of the lease");
            found.push(Violation { rule: Rule::Ghost, told });
        }
        for ghost in untold {
            let told =
                format!("node {node} has told nobody that {ghost} is offline, {looks} looks after the end");
            found.push(Violation { rule: Rule::Ghost, told });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::rules_of;

    #[test]
    fn what_does_not_come_by_the_looks_is_found() {
        let arrival = |looks, has_come| Arrival { what: "a message", node: 1, looks, most: LOOKS, has_come };
        let rules = |arrival: Arrival| rules_of(&check_arrivals(&[arrival]));
        assert_eq!(rules(arrival(3, true)), []);
        assert_eq!(rules(arrival(LOOKS + 9, true)), [], "the test was late to ask");
        assert_eq!(rules(arrival(LOOKS, false)), [], "there is still time");
        assert_eq!(rules(arrival(LOOKS + 1, false)), [Rule::Deaf]);
    }

    #[test]
    fn who_stays_online_without_a_node_is_found() {
        let sighting = |looks, ghosts: &[&str], untold: &[&str]| {
            let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
            Sighting { node: 0, looks, ghosts: names(ghosts), untold: names(untold) }
        };
        let rules = |sightings: &[Sighting]| rules_of(&check_sightings(sightings));
        assert_eq!(rules(&[sighting(2, &["bob"], &["bob"]), sighting(5, &[], &[])]), []);
        assert_eq!(rules(&[sighting(LOOKS_FOR_PRESENCE + 1, &["bob"], &[])]), [Rule::Ghost]);
        assert_eq!(rules(&[sighting(LOOKS_FOR_PRESENCE + 1, &[], &["bob"])]), [Rule::Ghost]);
    }
}
