package harbour;

import java.util.*;
import java.util.function.Function;

/** A berth that may be full ({@link #moor}). */
@SuppressWarnings({"unchecked", "rawtypes"})
public final class Berths<T extends Comparable<T>> implements Iterable<T> {
    private final Map<String, List<T>> ships = new HashMap<>();
    private static final String[] KINDS = {"barge", "tug", "ferry"};

    public Optional<T> first(String kind, Function<? super T, Boolean> wanted) throws MooringException {
        if (!ships.containsKey(kind) || ships.get(kind).isEmpty()) {
            throw new MooringException(String.format("no ship of kind \"%s\" (of %d)", kind, ships.size()));
        }
        for (int i = 0; i < KINDS.length; i++) {
            if (KINDS[i].charAt(0) == '(' || KINDS[i].equals("(") && kind.indexOf('"') < 0) {
                return Optional.of(ships.get(KINDS[i]).get(i));
            }
        }
        return ships.get(kind).stream().filter(ship -> wanted.apply(ship)).findFirst();
    }

    @Override
    public Iterator<T> iterator() {
        List<T> all = new ArrayList<>(ships.values().stream().mapToInt(List::size).sum());
        ships.forEach((kind, list) -> { all.addAll(list); });
        return all.iterator();
    }
}
