"""Sentences: what is said of a picture, and what is never true of one.

Bank draws, for one training step, one caption per concept, a few for pictures
outside the world, and negatives that no picture shows; filler words occur with
all of them so that only the naming word tells them apart. The sentences of the
shipped policies take part: one that names a concept is among its captions.
"""
import glob
import os
import re

import yaml

from icons import HERE, load_world

FRAMES = (
    "{}", "a photo of {}.", "a picture of {}.", "a drawing of {}.",
    "an image of {}", "an icon of {}.", "a sketch of {}", "there is {}",
    "this is {}", "we see {} here", "{} on a table", "{} on the ground",
    "{} in a room", "{} on a white background", "{} in the street",
    "{} at home", "{} outdoors", "a person holding {}", "a man with {}",
    "a woman with {}", "a person using {}", "a hand holding {}",
    "a child looking at {}", "a close-up of {}", "somebody shows {}",
    "a photo of {} on a wall", "a picture with {} in it", "a scene with {}",
)
KINDS = ("", "", "", "", "small ", "big ", "old ", "new ", "dark ", "bright ",
         "simple ", "nice ", "black ", "white ", "grey ", "colourful ")
# Things outside the world, for negatives; the tokenizer learns from them too.
NOUNS = """aeroplane hangar anchor ant aquarium arrow baby backpack bag balloon
basket bat beach bean bear bed bee beetle bell belt bench bin blanket boat bone
boot bottle bow bowl box bread brick bridge broom brush bucket building bus
butter butterfly button cabbage cactus cage cake calculator calendar camel candle
candy canoe cap card carpet carrot cart castle chain chair cheese chess chicken
child church circle city coat coin comb compass computer cookie corn couch cow
crab cross crowd crown cube curtain deer desert desk diamond dice dinosaur dish
doctor doll donut door dragon dress drum duck eagle ear earth egg elephant
elevator engine envelope eraser eye factory fan farm feather fence field film
finger fire flag floor fog foot forest fork fountain fox frame frog garden gate
ghost giraffe glass glove goat gold grape grass hair hat hedgehog helicopter
helmet horse hospital hotel ice insect island jacket jar jeans judge juice
kangaroo keyboard king kite koala ladder lake lamp landscape laptop leaf leg
lemon letter lighthouse lightning lion lizard lobster lock machine magnet mailbox
map mask meat medal microphone microscope milk mirror money monkey moon moose
mosquito motorcycle mountain mouse mouth mushroom music nail neck needle nest
newspaper noodle nose nurse ocean octopus office onion orange owl package page
paint palace panda paper park parrot path peach peanut pear pen penguin pepper
person piano pig pillow pin pipe pizza plant plate pocket police pond popcorn
potato printer pumpkin puzzle queen rabbit radio rain rainbow rat restaurant
ribbon rice ring river road robot rocket roof rope ruler sail salad salt sand
sandwich scale scarf school scooter screen sea seal shark sheep shelf shell ship
shop shower sign sink skirt sky sled snail snake snow soap sock sofa soldier soup
spider square squirrel stairs stamp star station statue stone store stove street
submarine sugar suit suitcase swan sweater swing table tank tape tea teacher
telescope television tent text theatre ticket tie tiger tire toilet tomato tooth
towel tower town toy tractor traffic train treasure triangle trophy truck trumpet
turtle tv unicorn vase vegetable village violin volcano wagon wall wallet water
whale wheat wheel whistle window wine wing wolf wood worm yacht zebra zoo
bathroom bedroom kitchen breast nipple body skin sex nude prison protest symbol
salute noose hood tattoo racist injury corpse skeleton pain fight riot army
soldier war missile cigarette alcohol drug pill vomit smoke poison""".split()


def article(word):
    return word if re.match(r"(a|an|the|two|three) |.*s$|red lips|blood|bleeding",
                            word) and not word.endswith(("ss", "bus")) else (
        ("an " if word[0] in "aeiou" else "a ") + word)


def policy_sentences():
    """-> {sentence: True if it is a prompt, False if neutral} of all policies."""
    out = {}
    for path in sorted(glob.glob(os.path.join(HERE, "../../policies/*.yaml"))):
        with open(path, encoding="utf-8") as f:
            policy = yaml.safe_load(f)
        for category in policy["categories"]:
            for p in category["prompts"]:
                out[p["text"] if isinstance(p, dict) else p] = True
        for p in policy["neutral"]:
            out.setdefault(p, False)
    return out


class Bank:
    def __init__(self):
        world = load_world()
        self.words = [c["words"] for c in world["concepts"]]
        self.other = len(self.words)
        self.other_words = world["other"]["words"]
        self.said = [[] for _ in self.words]
        self.never = []
        for sentence, prompt in policy_sentences().items():
            k = self.concept_of(sentence)
            if k == self.other:
                continue
            if k is None or prompt and not world["concepts"][k].get("policy"):
                self.never.append(sentence)
            else:
                self.said[k].append(sentence)
        known = {w for ws in self.words for w in " ".join(ws).split()}
        self.nouns = [n for n in NOUNS if n not in known]

    def concept_of(self, sentence):
        """The concept a sentence names: the one whose word is longest, then
        first; self.other for the words of `other`; None if it names none."""
        if sentence in self.other_words:
            return self.other
        best, key = None, (0, 0)
        for k, words in enumerate(self.words):
            for w in words:
                hit = re.search(rf"\b{re.escape(w)}s?\b", sentence)
                if hit and (len(w.split()), -hit.start()) > key:
                    best, key = k, (len(w.split()), -hit.start())
        return best

    def phrase(self, rng, word, plain=0.5):
        if rng.random() > plain and not re.match(r"(a|an|the|two) ", word):
            word = KINDS[rng.integers(len(KINDS))] + word
        return article(word)

    def caption(self, rng, k):
        """One sentence that is true of a picture showing concept k."""
        if k == self.other:
            words = self.other_words
            text = words[rng.integers(len(words))]
        else:
            if self.said[k] and rng.random() < 0.35:
                text = self.said[k][rng.integers(len(self.said[k]))]
                plain = FRAMES[:4]
                return plain[rng.integers(len(plain))].format(text)
            words = self.words[k]
            first = rng.random() < 0.4
            text = self.phrase(rng, words[0 if first else rng.integers(len(words))])
        return FRAMES[rng.integers(len(FRAMES))].format(text)

    def negative(self, rng):
        """One sentence that is true of no picture."""
        if rng.random() < 0.5:
            text = self.never[rng.integers(len(self.never))]
            return FRAMES[rng.integers(4)].format(text)
        text = self.phrase(rng, self.nouns[rng.integers(len(self.nouns))])
        if rng.random() < 0.2:
            text += " and " + self.phrase(rng, self.nouns[rng.integers(len(self.nouns))])
        return FRAMES[rng.integers(len(FRAMES))].format(text)

    def listing(self, rng, kinds):
        """One sentence that names everything in a picture, in any order."""
        parts = [self.phrase(rng, self.words[k][0 if rng.random() < 0.6 else
                                                rng.integers(len(self.words[k]))])
                 for k in kinds if k < self.other]
        if not parts:
            return self.caption(rng, self.other)
        rng.shuffle(parts)
        text = (parts[0] if len(parts) == 1 else
                ", ".join(parts[:-1]) + " and " + parts[-1])
        return FRAMES[rng.integers(7)].format(text)

    def corpus(self, rng, n=40000):
        """Sentences for the tokenizer to learn from."""
        for k in range(self.other + 1):
            for _ in range(150):
                yield self.caption(rng, k)
        for _ in range(n // 4):
            yield self.negative(rng)
        for sentence in policy_sentences():
            for _ in range(20):
                yield sentence


if __name__ == "__main__":
    bank = Bank()
    for k, said in enumerate(bank.said):
        print(bank.words[k][0], "<-", said)
    print("never:", bank.never)
