use futures_util::future::join_all;

use super::*;

const MINUTES: Duration = Duration::from_secs(300);
const LIMITS: GuessLimits = GuessLimits {
    per_account_and_address: 5,
    per_address: 20,
    window: MINUTES,
    per_account: 30,
    per_account_recovery: Duration::from_secs(900),
    known_for: Duration::from_secs(30 * 86_400),
};

struct Lab {
    clock: Clock,
    guesses: Guesses,
}

impl Lab {
    fn new() -> Self {
        let clock = Clock::movable();
        Self { guesses: Guesses::new(clock.clone(), &LIMITS, "tests", &"secret".into(), None), clock }
    }

    async fn attempt(&self, account: &str, address: &str) -> Result<Attempt, Refused> {
        self.guesses.attempt(account, Guesser::Address(address.parse().unwrap())).await
    }

    /// Whether the wrong password was looked at.
    async fn guesses(&self, account: &str, address: &str) -> bool {
        self.attempt(account, address).await.is_ok()
    }

    async fn refused(&self, account: &str, address: &str) -> Duration {
        match self.attempt(account, address).await.map(drop) {
            Err(Refused::TooMany { retry_after, .. }) => retry_after,
            other => panic!("{other:?}"),
        }
    }

    async fn proves(&self, account: &str, address: &str) {
        self.attempt(account, address).await.unwrap().proven().await;
    }
}

#[tokio::test]
async fn the_sixth_wrong_attempt_waits_until_the_first_leaves_the_window() {
    let lab = Lab::new();
    for _ in 0..5 {
        assert!(lab.guesses("ada", "192.0.2.1").await);
        lab.clock.advance(TimeDelta::seconds(10));
    }
    let wait = lab.refused("ada", "192.0.2.1").await;
    assert!((249..=250).contains(&wait.as_secs()), "{wait:?}");
    // Another account, and the same account from another address, are not affected.
    lab.proves("bob", "192.0.2.1").await;
    lab.proves("ada", "192.0.2.2").await;
    lab.clock.advance(TimeDelta::seconds(251));
    assert!(lab.guesses("ada", "192.0.2.1").await);
    assert!(lab.refused("ada", "192.0.2.1").await <= Duration::from_secs(10));
}

#[tokio::test]
async fn right_ones_at_the_same_time_wait_for_each_other_and_all_pass() {
    let lab = Lab::new();
    let passed = join_all((0..200).map(async |number| {
        let account = if number % 2 == 0 { "ada".to_owned() } else { format!("name{number}") };
        let attempt = lab.attempt(&account, "192.0.2.1").await.unwrap();
        tokio::task::yield_now().await;
        attempt.proven().await;
    }));
    assert_eq!(passed.await.len(), 200);
}

#[tokio::test]
async fn wrong_ones_at_the_same_time_get_no_further_than_one_by_one() {
    let lab = Lab::new();
    let guess = async |account: &str| match lab.attempt(account, "192.0.2.1").await {
        Ok(attempt) => {
            tokio::task::yield_now().await;
            drop(attempt);
            true
        }
        Err(_) => false,
    };
    let looked_at = join_all((0..50).map(|_| guess("ada"))).await;
    assert_eq!(looked_at.iter().filter(|looked_at| **looked_at).count(), 5);
    let names: Vec<String> = (0..100).map(|number| format!("name{number}")).collect();
    let looked_at = join_all(names.iter().map(|name| guess(name))).await;
    assert_eq!(looked_at.iter().filter(|looked_at| **looked_at).count(), 15, "20 of the address");
}

#[test]
fn threads_racing_get_no_more_than_the_limit() {
    let lab = Lab::new();
    let racing = || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        (0..50).filter(|_| runtime.block_on(lab.guesses("ada", "192.0.2.1"))).count()
    };
    let allowed: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(racing)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(allowed, 5);
}

#[tokio::test]
async fn a_right_one_withdraws_itself_and_a_proof_forgives_its_account_here() {
    let lab = Lab::new();
    for _ in 0..4 {
        assert!(lab.guesses("ada", "192.0.2.1").await);
    }
    lab.attempt("ada", "192.0.2.1").await.unwrap().right().await;
    assert!(lab.guesses("ada", "192.0.2.1").await);
    lab.refused("ada", "192.0.2.1").await;

    for _ in 0..4 {
        assert!(lab.guesses("bob", "192.0.2.1").await);
    }
    lab.proves("bob", "192.0.2.1").await;
    assert!(lab.guesses("bob", "192.0.2.1").await);
    // The address is not forgiven: 4 of ada and 4 of bob still count, from before they were known there.
    for number in 0..12 {
        assert!(lab.guesses(&format!("name{number}"), "192.0.2.1").await, "{number}");
    }
    lab.refused("carl", "192.0.2.1").await;
}

#[tokio::test]
async fn an_attempt_that_was_never_made_is_not_counted() {
    let lab = Lab::new();
    for _ in 0..100 {
        lab.attempt("ada", "192.0.2.1").await.unwrap().withdraw().await;
    }
    assert!(lab.guesses("ada", "192.0.2.1").await);
}

#[tokio::test]
async fn one_ipv6_network_one_site_and_one_mapped_address_are_one_address() {
    let lab = Lab::new();
    for number in 0..5 {
        assert!(lab.guesses("ada", &format!("2001:db8::{number}")).await);
        assert!(lab.guesses("bob", &format!("2001:db8:1:{number}::1")).await);
        assert!(lab.guesses("carl", "192.0.2.1").await);
    }
    lab.refused("ada", "2001:db8::ffff:2").await;
    lab.refused("bob", "2001:db8:1:9::1").await;
    lab.refused("carl", "::ffff:192.0.2.1").await;
    for account in ["ada", "bob"] {
        assert!(lab.guesses(account, "2001:db8:2::1").await, "another site");
    }
}

#[tokio::test]
async fn an_account_has_a_slow_limit_over_all_addresses_that_are_not_known() {
    let lab = Lab::new();
    lab.proves("ada", "192.0.2.1").await;
    lab.proves("ada", "2001:db8:ffff:1::1").await;
    let mut looked_at = 0;
    for number in 0..300 {
        looked_at += usize::from(lab.guesses("ada", &format!("2001:db8:{number:x}::1")).await);
    }
    assert_eq!(looked_at, 30);
    assert!(lab.refused("ada", "192.0.2.99").await <= Duration::from_secs(900));
    lab.proves("bob", "192.0.2.99").await;
    // Not where the owner was, though it is only known by its network.
    lab.proves("ada", "192.0.2.1").await;
    lab.proves("ada", "2001:db8:ffff:1::2").await;
    // Elsewhere, one in a while passes. It is known from then on.
    lab.clock.advance(TimeDelta::minutes(16));
    lab.proves("ada", "192.0.2.50").await;
    assert!(lab.guesses("ada", "192.0.2.99").await);
    lab.refused("ada", "192.0.2.99").await;
    lab.proves("ada", "192.0.2.50").await;
    // What is known is forgotten some day.
    lab.clock.advance(TimeDelta::days(31));
    for number in 0..300 {
        lab.guesses("ada", &format!("2001:db8:{number:x}::1")).await;
    }
    lab.refused("ada", "192.0.2.50").await;
}

#[tokio::test]
async fn a_known_address_has_a_slow_limit_of_its_own() {
    let lab = Lab::new();
    lab.proves("ada", "192.0.2.1").await;
    let mut looked_at = 0;
    for _ in 0..300 {
        looked_at += usize::from(lab.guesses("ada", "192.0.2.1").await);
        lab.clock.advance(TimeDelta::seconds(61));
    }
    // In five hours: those of the bucket, and those that have left it.
    assert!((30..=55).contains(&looked_at), "{looked_at}");
    assert!(lab.guesses("ada", "192.0.2.2").await, "elsewhere nothing is used up");
}

#[tokio::test]
async fn neighbours_lock_out_nobody_who_is_known_there() {
    let lab = Lab::new();
    lab.proves("ada", "192.0.2.1").await;
    for number in 0..40 {
        lab.guesses(&format!("name{number}"), "192.0.2.1").await;
    }
    lab.refused("bob", "192.0.2.1").await;
    lab.proves("ada", "192.0.2.1").await;
    // Nor does a site that is shared.
    lab.proves("ada", "2001:db8::1").await;
    for number in 0..40 {
        lab.guesses("ada", &format!("2001:db8:0:{number:x}::1")).await;
    }
    lab.proves("ada", "2001:db8::1").await;
}

#[tokio::test]
async fn who_shows_a_session_is_counted_by_it_alone() {
    let lab = Lab::new();
    let session = Guesser::Session(SessionId::new(), "192.0.2.1".parse().unwrap());
    while lab.guesses("ada", "192.0.2.1").await {}
    lab.guesses.attempt("ada", session).await.unwrap().proven().await;
    for _ in 0..5 {
        drop(lab.guesses.attempt("ada", session).await.unwrap());
    }
    assert!(lab.guesses.attempt("ada", session).await.is_err());
    let other = Guesser::Session(SessionId::new(), "192.0.2.1".parse().unwrap());
    lab.guesses.attempt("ada", other).await.unwrap().proven().await;
}

#[tokio::test]
async fn a_refusal_says_whether_being_known_would_help() {
    let lab = Lab::new();
    let helps = async |account: &str, address: &str| match lab.attempt(account, address).await.map(drop) {
        Err(Refused::TooMany { as_unknown, .. }) => as_unknown,
        other => panic!("{other:?}"),
    };
    while lab.guesses("ada", "192.0.2.1").await {}
    assert!(!helps("ada", "192.0.2.1").await);
    for number in 0..40 {
        lab.guesses(&format!("name{number}"), "192.0.2.1").await;
    }
    assert!(helps("bob", "192.0.2.1").await);
    lab.guesses.note_known("bob", "192.0.2.1".parse().unwrap());
    lab.proves("bob", "192.0.2.1").await;
}
