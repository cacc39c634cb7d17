//! Loops written out by fours: where there is little to do, counting is half of it, and
//! the library is compiled for size, which leaves loops as they are.

/// Does something with each item.
#[inline(always)]
pub fn each<T>(items: &[T], mut then: impl FnMut(&T)) {
    let mut left = items;
    while let [a, b, c, d, others @ ..] = left {
        then(a);
        then(b);
        then(c);
        then(d);
        left = others;
    }
    left.iter().for_each(then);
}

/// Does something with each two that stand at the same place, as far as both go.
#[inline(always)]
pub fn pairs<T, U>(items: &[T], others: &mut [U], mut then: impl FnMut(&T, &mut U)) {
    let n = items.len().min(others.len());
    let (items, others) = (items.get(..n).unwrap_or(&[]), others.get_mut(..n).unwrap_or(&mut []));
    let (fours, mut rooms) = (items.chunks_exact(4), others.chunks_exact_mut(4));
    let rest = fours.remainder();
    for (four, room) in fours.zip(rooms.by_ref()) {
        if let ([a, b, c, d], [i, j, k, l]) = (four, room) {
            then(a, i);
            then(b, j);
            then(c, k);
            then(d, l);
        }
    }
    rest.iter().zip(rooms.into_remainder()).for_each(|(item, room)| then(item, room));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_comes_once_and_in_order() {
        for n in 0..10u32 {
            let items: Vec<u32> = (0..n).collect();
            let mut seen = Vec::new();
            each(&items, |item| seen.push(*item));
            assert_eq!(seen, items);
        }
    }

    #[test]
    fn pairs_end_with_the_shorter() {
        for (n, m) in [(0, 3), (3, 0), (4, 4), (7, 9), (9, 7), (5, 8), (8, 5)] {
            let items: Vec<u32> = (1..=n).collect();
            let mut others = vec![0; m];
            pairs(&items, &mut others, |item, other| *other = *item);
            let wanted = (0..m).map(|i| items.get(i).copied().unwrap_or(0));
            assert_eq!(others, wanted.collect::<Vec<u32>>());
        }
    }
}
