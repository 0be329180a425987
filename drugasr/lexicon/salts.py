"""Salts at the end of a name, which prescribers mostly leave out: `metoprolol tartrate` is said "metoprolol".

After USP's "Monograph Naming Policy for Salt Drug Substances" (2013) and FDA's guidance "Naming of Drug Products Containing
Salt Drug Substances" (2015): a drug goes by its active moiety, except for simple salts of a metal and where the salt
changes how the drug is used. The words are those of USAN and INN names (both spellings), checked against the salts of
ChEMBL's structure pipeline (`salts.smi`) and the names in FDA's NDC Directory.

Left out on purpose: esters that make a long-acting injection (decanoate, enanthate, cypionate, undecanoate, caproate,
palmitate, pamoate), benzathine and procaine, and prodrugs (mofetil, axetil, alafenamide): another medicine, at another dose.
"""

SALTS = frozenset(
    """
    sodium disodium trisodium potassium dipotassium calcium hemicalcium magnesium
    meglumine dimeglumine tromethamine trometamol olamine diolamine trolamine epolamine erbumine arginine lysine
    hydrochloride hcl dihydrochloride trihydrochloride monohydrochloride hydrobromide hbr hydriodide hydroiodide
    chloride dichloride bromide iodide nitrate carbonate hydrogen dihydrogen
    sulfate sulphate bisulfate bisulphate methylsulfate metilsulfate methosulfate phosphate diphosphate
    acetate adipate benzoate butyrate propionate dipropionate pivalate valerate furoate stearate xinafoate
    citrate fumarate hemifumarate lactate malate maleate oxalate succinate hemisuccinate ethylsuccinate
    tartrate bitartrate gluconate gluceptate lactobionate mucate saccharate tannate teoclate triflutate
    mesylate mesilate dimesylate dimesilate besylate besilate tosylate tosilate ditosylate ditosilate edisylate edisilate
    esylate esilate camsylate camsilate napsylate napsilate isethionate isetionate estolate hyclate
    anhydrous hemihydrate monohydrate sesquihydrate dihydrate trihydrate tetrahydrate pentahydrate hexahydrate heptahydrate
    """.split()
)
# With its anion, a metal is the drug itself: potassium chloride, dextrose and sodium chloride.
METALS = frozenset(
    """
    sodium potassium calcium magnesium zinc lithium aluminum aluminium ammonium ferrous ferric iron copper cupric silver
    barium bismuth strontium manganese chromium chromic cobalt selenium gold tin stannous lanthanum cesium caesium
    rubidium gallium radium thallous indium
    """.split()
)
# Injectable steroids: dexamethasone sodium phosphate, hydrocortisone sodium succinate.
_SODIUM_ESTERS = ("phosphate", "succinate")
# What would be left behind is no drug (methyl, glyceryl), or another one: edetate disodium has killed in place of edetate
# calcium disodium, and Ringer's lactate is not Ringer's.
_NEVER_LAST = METALS | frozenset(
    """
    and with plus or in of for monobasic dibasic tribasic methyl ethyl propyl isopropyl butyl isobutyl amyl octyl cetyl
    benzyl phenyl vinyl polyvinyl methylene dimethyl monomethyl diroximel lauryl laureth dodecyl tetradecyl glyceryl
    tocopheryl retinyl cellulose dicalcium tricalcium edetate pentetate ringer ringers ringer's
    """.split()
)
_MIN_CHARACTERS = 3  # "l lysine", "dl lysine"


def strip_salts(spoken: str) -> str:
    """A spoken form without the salts at its end; whole where nothing, or no drug, would be left."""
    words = spoken.split()
    end = len(words)
    while end and words[end - 1] in SALTS and not _is_metal_salt(words[:end]):
        end -= 1
    base = " ".join(words[:end])
    return base if len(base) >= _MIN_CHARACTERS and words[end - 1] not in _NEVER_LAST else spoken


def _is_metal_salt(words: list[str]) -> bool:
    """Whether the last two words are a metal and its anion. A metal may itself be the salt: amoxicillin clavulanate potassium."""
    metal, salt = words[-2:] if len(words) > 1 else ("", words[0])
    return metal in METALS and salt not in METALS and not (metal == "sodium" and salt in _SODIUM_ESTERS)
