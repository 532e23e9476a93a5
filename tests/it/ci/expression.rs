//! Evaluates expressions of GitHub Actions, as far as the workflows use them.

use serde_json::Value;

/// The results of the previous steps.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    pub failed: bool,
    pub cancelled: bool,
}

/// Replaces each `${{ … }}` of a text.
pub fn fill(text: &str, context: &Value, progress: Progress) -> String {
    let mut parts = text.split("${{");
    let mut filled = String::from(parts.next().unwrap());
    for part in parts {
        let (expression, rest) = part.split_once("}}").unwrap_or_else(|| panic!("no end: {text}"));
        filled.push_str(&shown(&evaluate(expression, context, progress)));
        filled.push_str(rest);
    }
    filled
}

/// Whether an `if` is true. Without a status function, the previous steps must have succeeded.
pub fn holds(condition: Option<&str>, context: &Value, progress: Progress) -> bool {
    let condition = condition.unwrap_or("success()").trim();
    let condition = condition.strip_prefix("${{").and_then(|rest| rest.strip_suffix("}}")).unwrap_or(condition);
    let looks = ["always()", "failure()", "cancelled()", "success()"].iter().any(|name| condition.contains(name));
    (looks || !progress.failed) && truthy(&evaluate(condition, context, progress))
}

pub fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn truthy(value: &Value) -> bool {
    !matches!(shown(value).as_str(), "" | "false" | "0")
}

fn evaluate(text: &str, context: &Value, progress: Progress) -> Value {
    let mut parser = Parser { tokens: tokens(text), at: 0, context, progress };
    let value = parser.either();
    assert_eq!(parser.at, parser.tokens.len(), "trailing words in the expression {text:?}");
    value
}

fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let two = rest.get(..2).filter(|two| ["&&", "||", "==", "!="].contains(two));
        let length = match rest.chars().next().unwrap() {
            _ if two.is_some() => 2,
            '\'' => rest[1..].find('\'').unwrap() + 2,
            c if c.is_alphanumeric() || c == '_' => {
                rest.find(|c: char| !c.is_alphanumeric() && !"_-.".contains(c)).unwrap_or(rest.len())
            }
            '(' | ')' | ',' | '!' => 1,
            other => panic!("{other} in the expression {text:?}"),
        };
        tokens.push(rest[..length].into());
        rest = rest[length..].trim_start();
    }
    tokens
}

struct Parser<'a> {
    tokens: Vec<String>,
    at: usize,
    context: &'a Value,
    progress: Progress,
}

impl Parser<'_> {
    fn next_is(&mut self, token: &str) -> bool {
        let is = self.tokens.get(self.at).is_some_and(|next| next == token);
        self.at += usize::from(is);
        is
    }

    fn either(&mut self) -> Value {
        let mut value = self.both();
        while self.next_is("||") {
            let other = self.both();
            value = if truthy(&value) { value } else { other };
        }
        value
    }

    fn both(&mut self) -> Value {
        let mut value = self.compared();
        while self.next_is("&&") {
            let other = self.compared();
            value = if truthy(&value) { other } else { value };
        }
        value
    }

    fn compared(&mut self) -> Value {
        let value = self.single();
        for (operator, wanted) in [("==", true), ("!=", false)] {
            if self.next_is(operator) {
                let other = self.single();
                return Value::Bool(shown(&value).eq_ignore_ascii_case(&shown(&other)) == wanted);
            }
        }
        value
    }

    fn single(&mut self) -> Value {
        if self.next_is("!") {
            return Value::Bool(!truthy(&self.single()));
        }
        if self.next_is("(") {
            let value = self.either();
            assert!(self.next_is(")"));
            return value;
        }
        let token = self.tokens[self.at].clone();
        self.at += 1;
        if self.next_is("(") {
            let mut arguments = Vec::new();
            while !self.next_is(")") {
                arguments.push(shown(&self.either()));
                self.next_is(",");
            }
            return self.call(&token, &arguments);
        }
        match token.strip_prefix('\'') {
            Some(text) => Value::String(text.trim_end_matches('\'').into()),
            None if token == "true" || token == "false" => Value::Bool(token == "true"),
            None => token.split('.').fold(self.context, |value, key| &value[key]).clone(),
        }
    }

    fn call(&self, name: &str, arguments: &[String]) -> Value {
        match name {
            "always" => Value::Bool(true),
            "success" => Value::Bool(!self.progress.failed && !self.progress.cancelled),
            "failure" => Value::Bool(self.progress.failed),
            "cancelled" => Value::Bool(self.progress.cancelled),
            "format" => {
                let filled = arguments[1..]
                    .iter()
                    .enumerate()
                    .fold(arguments[0].clone(), |text, (at, argument)| text.replace(&format!("{{{at}}}"), argument));
                Value::String(filled)
            }
            "startsWith" => Value::Bool(arguments[0].starts_with(&arguments[1])),
            other => panic!("the function {other}() is not known here"),
        }
    }
}

#[test]
fn expressions_evaluate_as_on_github() {
    let context = serde_json::json!({ "inputs": { "name": "eu", "empty": "" }, "github": { "event": {} } });
    let filled = |text: &str| fill(text, &context, Progress::default());
    assert_eq!(filled("a ${{ inputs.name }} ${{ github.event.before }}b"), "a eu b");
    assert_eq!(filled("${{ inputs.name != '' && format('-{0}', inputs.name) || '' }}"), "-eu");
    assert_eq!(filled("${{ inputs.empty || github.event.x || 'last' }}"), "last");
    assert_eq!(filled("${{ !(inputs.name == 'EU') }}"), "false");
    let failed = Progress { failed: true, cancelled: false };
    assert!(!holds(Some("inputs.name == 'eu'"), &context, failed));
    assert!(holds(Some("always() && inputs.name == 'eu'"), &context, failed));
    assert!(!holds(None, &context, failed));
}
