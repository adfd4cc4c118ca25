//! Answers to many requests.

/// The answers in the order of the requests, each given with the place of its request, counted from 0.
///
/// `None`: a request has no answer, or an answer no request. Of two answers to one request the second counts.
pub fn in_order<A>(requests: usize, answers: impl IntoIterator<Item = (usize, A)>) -> Option<Vec<A>> {
    let mut places: Vec<Option<A>> = (0..requests).map(|_| None).collect();
    for (at, answer) in answers {
        *places.get_mut(at)? = Some(answer);
    }
    places.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::in_order;

    #[test]
    fn each_request_has_its_answer() {
        assert_eq!(in_order(2, [(1, 'b'), (0, 'a')]), Some(vec!['a', 'b']));
        assert_eq!(in_order(2, [(1, 'b')]), None, "the first has none");
        assert_eq!(in_order(1, [(0, 'a'), (1, 'b')]), None, "there is no second");
        assert_eq!(in_order(1, [(0, 'a'), (0, 'b')]), Some(vec!['b']));
    }
}
