from drugasr.decoding.levenshtein import rank_by_levenshtein


def test_nearest_first_by_distance_over_length():
    ranking = rank_by_levenshtein("aspirn", ["codeine", "aspirin", "aspirn x", "asp"], num_best=3)
    assert ranking.index_K.tolist() == [1, 2, 3]
    assert ranking.distance_K.tolist() == [1 / 7, 2 / 8, 3 / 6]


def test_ties_keep_the_order_of_the_list():
    assert rank_by_levenshtein("ab", ["ax", "xb", "ab", "ay"], num_best=4).index_K.tolist() == [2, 0, 1, 3]


def test_empty_text_is_as_far_from_every_name():
    ranking = rank_by_levenshtein("", ["aspirin", "asp"], num_best=5)
    assert ranking.index_K.tolist() == [0, 1]
    assert ranking.distance_K.tolist() == [1.0, 1.0]
