//! Circles in a graph: its strongly connected components of more than one node.

/// Circles among nodes given by what each one points at, each in order of its nodes.
pub(super) fn circles(edges: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let reached: Vec<Vec<bool>> = (0..edges.len()).map(|from| reached(edges, from)).collect();
    let mut found: Vec<Vec<usize>> = Vec::new();
    for (node, _) in edges.iter().enumerate() {
        let seen = found.iter().any(|circle| circle.contains(&node));
        let circle: Vec<usize> =
            (0..edges.len()).filter(|other| reached[node][*other] && reached[*other][node]).collect();
        if !seen && circle.len() > 1 {
            found.push(circle);
        }
    }
    found
}

/// Which nodes can be reached from one. A crate has dozens of files, not thousands.
fn reached(edges: &[Vec<usize>], from: usize) -> Vec<bool> {
    let mut reached = vec![false; edges.len()];
    let mut open = vec![from];
    while let Some(next) = open.pop() {
        for &to in &edges[next] {
            if !std::mem::replace(&mut reached[to], true) {
                open.push(to);
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::circles;

    #[test]
    fn a_chain_has_none() {
        assert!(circles(&[vec![1, 2], vec![2], vec![]]).is_empty());
    }

    #[test]
    fn circles_of_two_and_of_three_are_told_apart() {
        let edges = [vec![1], vec![0, 2], vec![3], vec![4], vec![2], vec![0]];
        assert_eq!(circles(&edges), [vec![0, 1], vec![2, 3, 4]]);
    }
}
