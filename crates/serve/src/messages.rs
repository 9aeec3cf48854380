//! The messages of a chat to a prompt.

use crate::limits::Limits;
use crate::media::Media;
use crate::refusal::Refusal;
use serde::Deserialize;
use vigos_core::text::one_line;
use vigos_processor::{Grid, ImagePatches, Message, Part, Processor, RgbImage, Sequence, patches};

/// A message as OpenAI's clients write it.
#[derive(Deserialize)]
pub(crate) struct Said {
    role: String,
    #[serde(default)]
    content: Option<Content>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Piece>),
}

#[derive(Deserialize)]
struct Piece {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    image_url: Option<Link>,
}

/// Some clients write the URL by itself.
#[derive(Deserialize)]
#[serde(untagged)]
enum Link {
    Wrapped { url: String },
    Plain(String),
}

/// What turns messages into a prompt.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    pub(crate) processor: &'a Processor,
    pub(crate) media: &'a Media,
    pub(crate) limits: &'a Limits,
    /// Most tokens of a prompt with its completion.
    pub(crate) context: usize,
}

impl Reader<'_> {
    /// The prompt, and its images as the model reads them. Where `goes_on`, the last message is the assistant's and the
    /// completion its rest. `hold` is told of the bytes of the images before they are made.
    ///
    /// # Errors
    /// If a message or an image is wrong, or there are too many or too large ones.
    pub(crate) fn prompt(
        &self,
        said: Vec<Said>,
        goes_on: bool,
        mut hold: impl FnMut(usize) -> Result<(), Refusal>,
    ) -> Result<(Sequence, Vec<ImagePatches>), Refusal> {
        let (mut messages, urls) = read(said, self.limits.images)?;
        let prefill = if goes_on { last_words(&mut messages)? } else { String::new() };
        let merge = self.processor.image_config().merge_size as usize;
        let (mut images, mut tokens): (Vec<(RgbImage, Grid)>, usize) = (Vec::new(), 0);
        for url in &urls {
            let image = self.media.image(url)?;
            let grid = patches::grid(image.height(), image.width(), self.processor.image_config())
                .map_err(|error| Refusal::bad(format!("messages: an image cannot be used: {error}")))?;
            tokens += grid.tokens(merge);
            self.fits(tokens)?;
            images.push((image, grid));
        }
        let grids: Vec<Grid> = images.iter().map(|(_, grid)| *grid).collect();
        let prompt = self.processor.prompt(&messages, &prefill, &grids);
        let prompt = prompt.map_err(|error| Refusal::bad(format!("messages: {error}")))?.sequence;
        self.fits(prompt.ids.len())?;
        let mut read = Vec::with_capacity(images.len());
        for (image, _) in images {
            let patches = self.processor.patches(&image);
            let patches = patches
                .map_err(|error| Refusal::bad(format!("messages: an image cannot be used: {error}")))?;
            hold(size_of_val(patches.values.as_slice()))?;
            read.push(patches);
        }
        Ok((prompt, read))
    }

    /// There is room for a token behind a prompt of so many.
    ///
    /// # Errors
    /// If there is not.
    pub(crate) fn fits(&self, tokens: usize) -> Result<(), Refusal> {
        if tokens > 0 && tokens < self.context {
            return Ok(());
        }
        let message = format!(
            "the prompt has {tokens} tokens, wanted 1 to {}: this server takes {} tokens with the completion",
            self.context.saturating_sub(1),
            self.context
        );
        Err(Refusal::bad(message).code("context_length_exceeded"))
    }
}

/// Messages as the template knows them, and the URLs of their images, in order.
fn read(said: Vec<Said>, most: usize) -> Result<(Vec<Message>, Vec<String>), Refusal> {
    const ROLES: [&str; 3] = ["system", "user", "assistant"];
    if said.is_empty() {
        return Err(Refusal::of("messages", "none", "one message at least"));
    }
    let (mut messages, mut urls) = (Vec::with_capacity(said.len()), Vec::new());
    for Said { role, content } in said {
        // The newer name of the system's.
        let role = if role == "developer" { "system".to_owned() } else { role };
        if !ROLES.contains(&role.as_str()) {
            return Err(Refusal::of("messages", format!("the role {role:?}"), "system, user or assistant"));
        }
        let parts = match content {
            None => {
                return Err(Refusal::of(
                    "messages",
                    "a message without content",
                    "a text or a list of parts",
                ));
            }
            Some(Content::Text(text)) => vec![Part::Text(text)],
            Some(Content::Parts(pieces)) => {
                pieces.into_iter().map(|piece| piece.part(&mut urls)).collect::<Result<_, _>>()?
            }
        };
        if urls.len() > most {
            return Err(Refusal::of(
                "messages",
                format!("{} images or more", urls.len()),
                &format!("at most {most}"),
            ));
        }
        messages.push(Message { role, parts });
    }
    Ok((messages, urls))
}

impl Piece {
    fn part(self, urls: &mut Vec<String>) -> Result<Part, Refusal> {
        match (self.kind.as_str(), self.text, self.image_url) {
            ("text", Some(text), _) => Ok(Part::Text(text)),
            ("image_url", _, Some(Link::Wrapped { url } | Link::Plain(url))) => {
                urls.push(url);
                Ok(Part::Image)
            }
            (kind, ..) => {
                let found = format!("a part of type `{}`", one_line(kind, 60));
                let wanted = "{\"type\": \"text\", \"text\": …} or {\"type\": \"image_url\", \"image_url\": {\"url\": …}}";
                Err(Refusal::of("messages", found, wanted))
            }
        }
    }
}

/// Takes the assistant's last message off: how its completion begins.
fn last_words(messages: &mut Vec<Message>) -> Result<String, Refusal> {
    let last = messages.pop_if(|message| message.role == "assistant");
    let texts = last.into_iter().flat_map(|message| message.parts).map(|part| match part {
        Part::Text(text) => Some(text),
        Part::Image => None,
    });
    texts.collect::<Option<String>>().filter(|words| !words.is_empty() && !messages.is_empty()).ok_or_else(
        || {
            let wanted = "a last message of the assistant with some text, after one of the user";
            Refusal::of("continue_final_message", "true", wanted)
        },
    )
}
