//! Chat templates of the Qwen families' kind render as Jinja renders them, and hostile ones are stopped.

use serde_json::{Value, json};
use vigos_processor::ChatTemplate;
use vigos_processor::template::{NamedTokens, TemplateError};

fn render(source: &str, messages: Value) -> Result<String, TemplateError> {
    ChatTemplate::new(source, NamedTokens::default())?.render(messages, true)
}

fn hello() -> Value {
    json!([{"role": "user", "content": "Hello"}])
}

#[test]
fn a_default_system_turn_comes_before_the_first_user_turn() {
    let source = "{% for message in messages %}{% if loop.first and message.role != 'system' %}\
                  {{ '<|im_start|>system\\nBe kind.<|im_end|>\\n' }}{% endif %}\
                  {{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}\
                  {% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
    assert_eq!(
        render(source, hello()).unwrap(),
        "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"
    );
    let own = json!([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]);
    assert!(
        render(source, own).unwrap().starts_with("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user")
    );
}

#[test]
fn tools_that_are_not_given_are_not_mentioned() {
    let source = "{%- if tools %}\n    {{- '<tools>' }}\n    {%- for tool in tools %}{{ tool | tojson }}\
                  {%- endfor %}\n{%- else %}\n    {%- if messages[0].role == 'system' %}\n\
                  {{- 'S: ' + messages[0].content }}\n    {%- endif %}\n{%- endif %}\n\
                  {%- for m in messages %}\n    {%- if (m.role == \"user\") or (m.role == \"system\" and not loop.first) %}\n\
                  {{- m.role ~ ': ' ~ m.content ~ '\\n' }}\n    {%- elif m.role == 'assistant' and m.tool_calls is defined %}\n\
                  {{- 'call' }}\n    {%- endif %}\n{%- endfor %}";
    assert_eq!(render(source, hello()).unwrap(), "user: Hello\n");
}

#[test]
fn the_last_question_is_found_from_behind_and_thoughts_are_cut() {
    // As the third generation does it: a namespace, a reversed walk, and Python's string methods.
    let source = "{%- set ns = namespace(looking=true, last=messages|length - 1) %}\n\
        {%- for message in messages[::-1] %}\n\
        {%- set index = (messages|length - 1) - loop.index0 %}\n\
        {%- if ns.looking and message.role == 'user' and message.content is string and not(message.content.startswith('<tool>') and message.content.endswith('</tool>')) %}\n\
        {%- set ns.looking = false %}\n{%- set ns.last = index %}\n{%- endif %}\n{%- endfor %}\n\
        {%- for message in messages %}\n\
        {%- if message.content is string %}{%- set content = message.content %}{%- else %}{%- set content = '' %}{%- endif %}\n\
        {%- if '</think>' in content %}\n\
        {%- set thought = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}\n\
        {%- set content = content.split('</think>')[-1].lstrip('\\n') %}\n\
        {%- if loop.index0 > ns.last %}{{- '[' + thought.strip() + ']' }}{%- endif %}\n\
        {%- endif %}\n\
        {{- message.role.upper() + '=' + content + (';' if not loop.last else '.') }}\n\
        {%- endfor %}";
    let messages = json!([
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "<think>\nold\n</think>\n\nfirst"},
        {"role": "user", "content": "two"},
        {"role": "assistant", "content": "<think>\n new \n</think>\n\nsecond"},
        {"role": "user", "content": "<tool>x</tool>"},
    ]);
    assert_eq!(
        render(source, messages).unwrap(),
        "USER=one;ASSISTANT=first;USER=two;[new]ASSISTANT=second;USER=<tool>x</tool>."
    );
}

/// In the manner of the vision models: contents are texts or lists of parts, images may be numbered.
const VISION: &str = "{% set image_count = namespace(value=0) %}{% set video_count = namespace(value=0) %}\
    {% for message in messages %}<|im_start|>{{ message['role'] }}\n\
    {% if message['content'] is string %}{{ message['content'] }}<|im_end|>\n\
    {% else %}{% for content in message['content'] %}\
    {% if content['type'] == 'image' or 'image' in content or 'image_url' in content %}\
    {% set image_count.value = image_count.value + 1 %}{% if add_vision_id %}Picture {{ image_count.value }}: {% endif %}\
    <|vision_start|><|image_pad|><|vision_end|>\
    {% elif content['type'] == 'video' or 'video' in content %}\
    {% set video_count.value = video_count.value + 1 %}{% if add_vision_id %}Video {{ video_count.value }}: {% endif %}\
    <|vision_start|><|video_pad|><|vision_end|>\
    {% elif 'text' in content %}{{ content['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endif %}{% endfor %}\
    {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

#[test]
fn contents_may_be_texts_or_parts() {
    let messages = json!([
        {"role": "system", "content": "Look."},
        {"role": "user", "content": [
            {"type": "image"}, {"type": "text", "text": "What "}, {"type": "video"}, {"type": "text", "text": "is it?"},
        ]},
    ]);
    assert_eq!(
        render(VISION, messages).unwrap(),
        "<|im_start|>system\nLook.<|im_end|>\n<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>What \
         <|vision_start|><|video_pad|><|vision_end|>is it?<|im_end|>\n<|im_start|>assistant\n"
    );
}

#[test]
fn macros_can_render_parts() {
    let source = "{%- macro show(content) %}{% if content is string %}{{ content }}{% elif content is iterable and \
        content is not mapping %}{% for item in content %}{% if item.type == 'image' %}<img>{% else %}{{ item.text }}\
        {% endif %}{% endfor %}{% elif content is none or content is undefined %}{{ '' }}{% else %}\
        {{ raise_exception('odd content') }}{% endif %}{% endmacro -%}\
        {% for m in messages %}{% if loop.previtem and loop.previtem.role == m.role %}+{% endif %}{{ show(m.content) | trim }}{% endfor %}";
    let parts = json!([{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": " a "}]},
                       {"role": "user", "content": "b"}, {"role": "user"}]);
    assert_eq!(render(source, parts).unwrap(), "<img> a+b+");
}

#[test]
fn line_ends_follow_jinjas_block_rules() {
    let source = "A\n    {% if true %}\nB\n    {% endif %}\nC\n";
    assert_eq!(render(source, json!([])).unwrap(), "A\nB\nC");
    assert_eq!(render("A\n\n", json!([])).unwrap(), "A\n");
}

#[test]
fn generation_marks_leave_what_they_enclose() {
    let source =
        "{% for m in messages %}\n{%- generation -%}\n  {{ m.content }}\n{%- endgeneration %}\n!{% endfor %}";
    assert_eq!(render(source, hello()).unwrap(), "Hello!");
    let word = "{% set generation = 'x' %}{{ generation }}{% if generation %}y{% endif %}";
    assert_eq!(render(word, hello()).unwrap(), "xy");
}

#[test]
fn json_is_spaced_as_python_spaces_it() {
    let source = "{{ messages[0] | tojson }}|{{ messages | tojson(indent=2) }}";
    let rendered = render(source, json!([{"role": "u", "content": ["<a>", 1, null, true]}])).unwrap();
    assert_eq!(
        rendered,
        "{\"role\": \"u\", \"content\": [\"<a>\", 1, null, true]}|[\n  {\n    \"role\": \"u\",\n    \
         \"content\": [\n      \"<a>\",\n      1,\n      null,\n      true\n    ]\n  }\n]"
    );
}

#[test]
fn nothing_is_escaped_for_html() {
    assert_eq!(render("{{ messages[0].content }}", json!([{"content": "<a> & 'b'"}])).unwrap(), "<a> & 'b'");
}

#[test]
fn maps_have_pythons_methods() {
    let source = "{% for key, value in messages[0].items() %}{{ key }}={{ value }};{% endfor %}{{ messages[0].get('x', '-') }}\
                  {{ 'a.b'.replace('.', '/') }}";
    assert_eq!(render(source, hello()).unwrap(), "role=user;content=Hello;-a/b");
}

#[test]
fn named_tokens_and_dates_are_known() {
    let tokens = NamedTokens { eos_token: Some("<|im_end|>".into()), ..NamedTokens::default() };
    let template =
        ChatTemplate::new("{{ bos_token }}{{ eos_token }}{{ strftime_now('%Y')|length }}", tokens).unwrap();
    assert_eq!(template.render(hello(), false).unwrap(), "<|im_end|>4");
}

#[test]
fn a_template_can_refuse_messages_in_its_own_words() {
    match render("{{ raise_exception('Roles must alternate!') }}", hello()) {
        Err(TemplateError::Raised { message }) => assert_eq!(message, "Roles must alternate!"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn errors_tell_syntax_from_running() {
    assert!(matches!(render("{% if %}", hello()), Err(TemplateError::Syntax(_))));
    assert!(matches!(render("{{ nothing.at.all }}", hello()), Err(TemplateError::Render(_))));
    assert!(matches!(render("{{ strftime_now('%!') }}", hello()), Err(TemplateError::Render(_))));
}

#[test]
fn runaway_templates_are_stopped() {
    let endless = "{% for a in range(90000) %}{% for b in range(90000) %}x{% endfor %}{% endfor %}";
    assert!(matches!(render(endless, hello()), Err(TemplateError::Runaway)));
    let doubling =
        "{% set n = namespace(s='xxxxxxxx') %}{% for i in range(60) %}{% set n.s = n.s ~ n.s %}{% endfor %}";
    assert!(matches!(render(doubling, hello()), Err(TemplateError::Runaway)));
    let nested = "{% set n = namespace(s=[1]) %}{% for i in range(40) %}{% set n.s = [n.s, n.s] %}{% endfor %}{{ n.s|tojson }}";
    assert!(render(nested, hello()).is_err());
}

#[test]
fn line_ends_of_windows_are_those_of_any_other_template() {
    let source = "{% for m in messages %}\n{{ m.role }}:\n{% endfor %}\nend\n";
    let rendered = |source: &str| {
        ChatTemplate::new(source, NamedTokens::default()).unwrap().render(hello(), false).unwrap()
    };
    for ends in ["\r\n", "\r"] {
        assert_eq!(rendered(&source.replace('\n', ends)), rendered(source), "{ends:?}");
    }
}

#[test]
fn the_template_is_found_in_every_place() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("templates");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    let found = || ChatTemplate::from_dir(&folder)?.render(hello(), false);

    assert!(matches!(found(), Err(TemplateError::Missing { .. })));
    let named =
        json!([{"name": "rag", "template": "no"}, {"name": "default", "template": "named{{ eos_token }}"}]);
    let eos = json!({"content": "</s>", "lstrip": false});
    write("tokenizer_config.json", &json!({"chat_template": named, "eos_token": eos}).to_string());
    assert_eq!(found().unwrap(), "named</s>");
    write(
        "tokenizer_config.json",
        &json!({"chat_template": "string{{ eos_token }}", "eos_token": "<e>"}).to_string(),
    );
    assert_eq!(found().unwrap(), "string<e>");
    write("chat_template.jinja", "jinja{{ eos_token }}");
    assert_eq!(found().unwrap(), "jinja<e>");
    write("chat_template.json", &json!({"chat_template": "json{{ eos_token }}"}).to_string());
    assert_eq!(found().unwrap(), "json<e>");
    write("processor_config.json", &json!({"chat_template": null}).to_string());
    assert_eq!(found().unwrap(), "json<e>");
    write("processor_config.json", &json!({"chat_template": "config{{ eos_token }}"}).to_string());
    assert_eq!(found().unwrap(), "config<e>");
    // What is wrong with it is said of the file that it was found in.
    for broken in ["{% if %}", "{{ nothing.at.all }}"] {
        write("processor_config.json", &json!({"chat_template": broken}).to_string());
        let error = found().unwrap_err().to_string();
        let file = folder.join("processor_config.json").display().to_string();
        assert!(error.starts_with(&file) && error.contains("the chat template"), "{error}");
    }
    write("tokenizer_config.json", "{");
    assert!(matches!(found(), Err(TemplateError::File(_))));
}
