//! Pages with hostile names and with many groups, rendered as GitHub renders Markdown.

use convoke::plan::{Action, Since};

use super::*;

/// GitHub's maximum length of a comment.
const MOST_BYTES: usize = 65_536;

pub fn rendered(page: &str) -> String {
    let mut options = comrak::Options::default();
    options.extension.alerts = true;
    options.extension.autolink = true;
    options.extension.strikethrough = true;
    options.extension.table = true;
    options.extension.tasklist = true;
    options.render.r#unsafe = true;
    comrak::markdown_to_html(page, &options)
}

/// The text outside code, which could become a link, a mention or a reference.
fn outside_of_code(html: &str) -> String {
    let mut text = String::new();
    let mut rest = html;
    while let Some((before, after)) = rest.split_once("<code") {
        text.push_str(before);
        rest = after.split_once("</code>").expect("code ends").1;
    }
    text + rest
}

fn tags(html: &str) -> Vec<&str> {
    let tags = html.split('<').skip(1).filter_map(|tag| tag.split(|c: char| !c.is_alphanumeric() && c != '/').next());
    let mut tags: Vec<&str> = tags.map(|tag| tag.trim_start_matches('/')).collect();
    tags.sort_unstable();
    tags.dedup();
    tags
}

#[test]
fn hostile_names_stay_text() {
    let repository = repository();
    let linked = View { repository: Some(&repository), ..view() };
    for page in [
        plan(&samples::hostile(), view()),
        drift(&samples::hostile(), view()),
        report(&samples::partial_report(), None),
        stale(&samples::stale_groups(), HELP),
    ] {
        let html = rendered(&page);
        let text = outside_of_code(&html);
        assert!(!text.contains(['@', '#', '`', '\u{202e}']) && !text.contains("http"), "{text}\n{page}");
        assert!(!html.contains("<a ") && !html.contains("evil\""), "{html}");
        let known = [
            "",
            "blockquote",
            "br",
            "code",
            "details",
            "div",
            "h3",
            "li",
            "p",
            "pre",
            "strong",
            "summary",
            "table",
            "tbody",
            "td",
            "th",
            "thead",
            "tr",
            "ul",
            "!--",
        ];
        assert!(tags(&html).iter().all(|tag| known.contains(tag)), "{:?}", tags(&html));
    }
    let html = rendered(&plan(&samples::hostile(), linked));
    let links: Vec<&str> = html.split("<a href=\"").skip(1).filter_map(|link| link.split('"').next()).collect();
    assert!(!links.is_empty());
    assert!(links.iter().all(|link| link.starts_with("https://github.com/o/r/blob/")), "{links:?}");
}

#[test]
fn hostile_table_cells_stay_in_their_row() {
    let mut hostile = samples::many_groups(2);
    hostile.groups.iter_mut().for_each(|group| group.name = "a|b\\|c` | x |".into());
    let html = rendered(&plan(&hostile, view()));
    assert_eq!(html.matches("<tr>").count(), 3);
    assert_eq!(html.matches("<td>").count(), 6, "{html}");
}

/// The diff of a group in a page, without its title; empty if the page has none.
fn diff_of<'a>(page: &'a str, name: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("\n`{name}` +")).unwrap_or_default();
    rest.split_once("```diff\n").and_then(|(_, rest)| rest.split_once("```")).unwrap_or_default().0
}

#[test]
fn all_of_120_groups_are_named() {
    let repository = repository();
    let sample = samples::many_groups(120);
    let page = plan(&sample, View { repository: Some(&repository), ..view() });
    assert!(page.len() <= MOST_BYTES, "{}", page.len());
    for group in &sample.groups {
        assert!(page.contains(&format!("| [`{}`]", group.name.as_str())), "{}", group.name.as_str());
        for gone in ["bob@example.com", "carol@example.com"] {
            let diff = diff_of(&page, group.name.as_str());
            assert!(diff.contains(&format!("- {gone}\n")), "{}: {diff}", group.name.as_str());
        }
    }
    let html = rendered(&page);
    assert_eq!(html.matches("<tr>").count(), 121);
    assert_eq!(html.matches("<details>").count(), html.matches("</details>").count());
}

#[test]
fn cut_parts_are_counted() {
    let page = plan(&samples::many_groups(300), view());
    assert!(page.len() <= MOST_BYTES, "{}", page.len());
    assert_eq!(page.matches("- bob@example.com\n").count(), 300, "every removal is named");
    let page = plan(&samples::many_groups(1500), view());
    assert!(page.len() <= MOST_BYTES, "{}", page.len());
    let shown = page.matches("```diff").count();
    let rest = format!("… and {} more groups with {} changes", 1500 - shown, 2 * (1500 - shown));
    assert!(shown > 300 && page.contains(&rest), "{shown}");
    assert!(page.contains("convoke apply -f groups --expect"));
}

#[test]
fn three_thousand_removals_are_cut_and_counted() {
    let page = plan(&samples::large_group(), view());
    assert!(page.len() <= MOST_BYTES && page.len() > MOST_BYTES / 2, "{}", page.len());
    let named = page.matches("- person").count();
    assert!(page.contains(&format!("… and {} more\n", 3000 - named)), "{named}");
    assert!(page.contains("| `Everybody` | +0 −3000 | 3000 → 0 |"), "{page}");
    assert_eq!(page.matches("```").count() % 2, 0);
}

#[test]
fn unused_space_of_one_part_serves_the_other() {
    let mut sample = samples::large_group();
    for change in sample.groups.iter_mut().flat_map(|group| &mut group.changes) {
        change.since = Some(Since::Change);
    }
    let labeled = plan(&sample, view()).matches("- person").count();
    let unlabeled = plan(&samples::large_group(), view()).matches("- person").count();
    assert!(labeled * 10 >= unlabeled * 9, "{labeled} of {unlabeled}");
    // A part that needs little leaves the rest to the large one.
    if let Some(change) = sample.groups.iter_mut().flat_map(|group| &mut group.changes).next() {
        change.since = Some(Since::Before);
    }
    let shared = plan(&sample, view()).matches("- person").count();
    assert!(shared * 10 >= unlabeled * 9, "{shared} of {unlabeled}");
}

#[test]
fn table_uses_the_space_of_absent_removals() {
    let mut sample = samples::many_groups(3000);
    for change in sample.groups.iter_mut().flat_map(|group| &mut group.changes) {
        change.action = Action::Add;
    }
    let page = plan(&sample, view());
    assert!(page.len() <= MOST_BYTES, "{}", page.len());
    let rows = page.lines().filter(|line| line.starts_with("| `")).count();
    assert!(rows > 1300 && page.contains(&format!("… and {} more groups\n", sample.groups.len() - rows)), "{rows}");
}

/// The number of items that a page shows below a title, and the number of those that it says are missing.
fn listed(page: &str, title: &str) -> (usize, usize) {
    let (_, rest) = page.split_once(title).unwrap_or_else(|| panic!("no {title}"));
    let lines = rest.lines().skip(1).map(|line| line.trim_start_matches(['>', ' ']));
    let items: Vec<&str> = lines.skip_while(|line| line.is_empty()).take_while(|line| line.starts_with("- ")).collect();
    let more = items.last().and_then(|line| line.strip_prefix("- … and ")?.strip_suffix(" more")?.parse().ok());
    (items.len() - usize::from(more.is_some()), more.unwrap_or(0))
}

const ALERTS: [&str; 6] =
    ["**Refused.**", "**Expired access that stays", "**Loosened.**", "**Blocked.**", "**Held.**", "**Warnings**"];

#[test]
fn alerts_leave_space_for_table_and_removals() {
    let repository = repository();
    for (count, repository) in [(60, None), (150, None), (150, Some(&repository))] {
        let sample = samples::much_of_everything(count);
        let page = plan(&sample, View { repository, ..view() });
        assert!(page.len() <= MOST_BYTES, "{count}: {}", page.len());
        for group in &sample.groups {
            let name = group.name.as_str();
            assert!(page.contains(&format!("| `{name}` |")), "{count}: {name} is not in the table");
            for change in &group.changes {
                let who = change.member.email.as_ref().unwrap();
                let named = diff_of(&page, name).contains(&format!("- {who}"));
                assert!(named, "{count}: {who} in {name}");
            }
        }
        for title in ALERTS {
            let (shown, more) = listed(&page, title);
            assert!(shown > 0 && shown + more >= count, "{count}: {title} {shown} {more}");
        }
    }
}

#[test]
fn nothing_vanishes_from_a_page_that_is_too_small() {
    for count in [400, 1500] {
        let page = plan(&samples::much_of_everything(count), view());
        assert!(page.len() <= MOST_BYTES, "{count}: {}", page.len());
        for title in ALERTS {
            let (shown, more) = listed(&page, title);
            assert!(shown > 0 && shown + more >= count, "{count}: {title} {shown} {more}");
        }
        let rows = page.lines().filter(|line| line.starts_with("| `")).count();
        assert!(rows > 200 && page.contains(&format!("… and {} more groups\n", 2 * count - rows)), "{count}: {rows}");
        let named = page.lines().filter(|line| line.starts_with("- p") && line.ends_with("@example.com")).count();
        assert!(named > 600, "{count}: {named}");
        let (groups, left_out) = page.split_once(" more groups with ").unwrap();
        let groups: usize = groups.rsplit_once("… and ").unwrap().1.parse().unwrap();
        let left_out: usize = left_out.split_once(" changes\n").unwrap().0.parse().unwrap();
        assert_eq!(page.matches("```diff").count() + groups, count, "{count}");
        let cut = page.matches("```diff").count() * 6 - named;
        assert_eq!((left_out, cut < 6), (groups * 6, true), "{count}: {cut}");
    }
}
